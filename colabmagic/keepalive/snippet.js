(() => {
  "use strict";
  /* What may change: times in milliseconds, and the labels that mean "Reconnect". */
  const SETTINGS = __SETTINGS__;
  const NAME = "colabmagicKeepalive";
  const COOLDOWN_MS = 60000; /* at most one click a minute */
  const LONGEST_GAP_MS = 900000; /* clicks that change nothing become rarer */
  const FIRST_LOOKS = 5; /* one a second: whether the button is there is told within 5 s */
  const WAITING_MS = 5000; /* how often to look while a question waits for the person */

  /* Where the connect button is: now, and on older pages. */
  const HOSTS = "colab-connect-button, colab-toolbar-button#connect, #top-toolbar #connect";
  const BUTTONS = "#connect, button, [role=button], input[type=button], "
    + "colab-toolbar-button, mwc-button, paper-button, md-text-button, md-filled-button, "
    + "md-filled-tonal-button, md-outlined-button, md-elevated-button";
  /* Text that is drawn as a picture, or shown beside the button, is no label. */
  const NO_LABEL = "[aria-hidden=true], [role=tooltip], paper-tooltip, md-icon, mwc-icon, "
    + "iron-icon, svg, style, script, template";
  const CAPTCHA_HOSTS = "colab-recaptcha-dialog";
  const CAPTCHA_FRAMES = "iframe[src*=recaptcha i], iframe[title*=recaptcha i]";
  const DIALOGS = "dialog, md-dialog, mwc-dialog, paper-dialog, colab-dialog, [role=dialog], "
    + "[role=alertdialog], [aria-modal=true], [slot=primaryAction]";
  const OF_INTEREST = [HOSTS, CAPTCHA_HOSTS, CAPTCHA_FRAMES, DIALOGS].join(", ");

  /* Wall clock, so that a sleep of the computer counts; the other one, should the wall
     clock be set back. */
  const started = Date.now();
  const startedTicks = performance.now();
  const elapsed = () => Math.max(Date.now() - started, performance.now() - startedTicks);
  const clock = (ms) => new Date(ms).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit"});
  const tell = (how, text) => console[how](NAME + " " + clock(Date.now()) + ": " + text);

  /* --- reading the page; nothing here changes it ------------------------------------ */

  const above = (node) => node.assignedSlot || node.parentNode || node.host || null;

  const pathUp = (node) => {
    const path = [];
    for (let at = node; at; at = above(at)) {
      if (at.nodeType === Node.ELEMENT_NODE) { path.push(at); }
    }
    return path;
  };

  /* What matters on the page, through all open shadow roots. */
  const allOfInterest = () => {
    const found = [];
    const roots = [document];
    for (let i = 0; i < roots.length; i += 1) {
      found.push(...roots[i].querySelectorAll(OF_INTEREST));
      const walker = document.createTreeWalker(roots[i], NodeFilter.SHOW_ELEMENT);
      while (walker.nextNode()) {
        const inner = walker.currentNode.shadowRoot;
        if (inner) { roots.push(inner); }
      }
    }
    return found;
  };

  /* An element and all below it, through shadow roots, outer ones first. */
  const allWithin = (top) => {
    const found = [top];
    for (let i = 0; i < found.length; i += 1) {
      found.push(...found[i].children);
      if (found[i].shadowRoot) { found.push(...found[i].shadowRoot.children); }
    }
    return found;
  };

  const isHidden = (element) => {
    if (getComputedStyle(element).visibility !== "visible") { return true; }
    return pathUp(element).some((one) => {
      const style = getComputedStyle(one);
      return style.display === "none" || Number(style.opacity) === 0;
    });
  };

  const hasArea = (element) => {
    const box = element.getBoundingClientRect();
    return box.width >= 1 && box.height >= 1;
  };

  /* Also by what is around it: the inner button of a disabled one looks enabled. */
  const isDisabled = (element) => pathUp(element).some((one) => one.disabled === true
    || one.hasAttribute("disabled") || one.hasAttribute("inert")
    || one.getAttribute("aria-disabled") === "true");

  /* The text that a person reads on an element, through slots. */
  const textOf = (node, isSeen = true) => {
    if (node.nodeType === Node.TEXT_NODE) { return isSeen ? node.data : ""; }
    if (node.nodeType !== Node.ELEMENT_NODE || node.matches(NO_LABEL)) { return ""; }
    const style = getComputedStyle(node);
    if (style.display === "none") { return ""; }
    if (node.matches("input")) { return node.value; }
    const slotted = node.matches("slot") ? node.assignedNodes({flatten: true}) : [];
    const inside = slotted.length ? slotted : (node.shadowRoot || node).childNodes;
    const shown = style.visibility === "visible";
    return Array.from(inside, (one) => textOf(one, shown)).join(" ");
  };

  const labelOf = (element) => textOf(element).replace(/\s+/g, " ").trim().normalize("NFC");

  /* The innermost element that a mouse would meet there. */
  const elementAt = (x, y) => {
    let hit = document.elementFromPoint(x, y);
    while (hit && hit.shadowRoot) {
      const inner = hit.shadowRoot.elementFromPoint(x, y);
      if (!inner || inner === hit || !pathUp(inner).includes(hit)) { break; }
      hit = inner;
    }
    return hit;
  };

  /* What asks for the person: "captcha", "dialog" or null. */
  const questionIn = (elements) => {
    const any = (selector, test) =>
      elements.some((element) => element.matches(selector) && test(element));
    const drawn = (element) => hasArea(element) && !isHidden(element);
    if (any(CAPTCHA_HOSTS, (host) => !isHidden(host))) { return "captcha"; }
    if (any(CAPTCHA_FRAMES, drawn)) { return "captcha"; }
    return any(DIALOGS, (dialog) => allWithin(dialog).some(drawn)) ? "dialog" : null;
  };

  /* Whether a button can be clicked by a person, and what the mouse would meet. */
  const reach = (button) => {
    if (isHidden(button) || !hasArea(button)) { return {state: "hidden"}; }
    const inner = allWithin(button).filter((one) => one.matches(BUTTONS));
    if (inner.some(isDisabled)) { return {state: "disabled"}; }
    const box = button.getBoundingClientRect();
    const hit = elementAt(box.left + box.width / 2, box.top + box.height / 2);
    const path = hit ? pathUp(hit) : [];
    if (!path.includes(button)) { return {state: hit ? "covered" : "hidden"}; }
    const target = path.find((one) => one.matches(BUTTONS));
    const label = labelOf(target);
    const ours = label === "" || SETTINGS.labels.includes(label);
    return ours ? {state: "ready", target} : {state: "covered"};
  };

  /* One look: {state, label, target}. */
  const inspect = () => {
    const elements = allOfInterest();
    const hosts = elements.filter((element) => element.matches(HOSTS));
    const buttons = hosts.flatMap((host) =>
      allWithin(host).filter((one) => one.matches(BUTTONS)));
    const labels = buttons.map(labelOf);
    const label = labels.find((text) => SETTINGS.labels.includes(text))
      || labels.find((text) => text) || "";
    const question = questionIn(elements);
    if (question) { return {state: question, label, present: hosts.length > 0}; }
    if (!hosts.length) { return {state: "missing", label, present: false}; }
    const named = buttons.filter((_, i) => SETTINGS.labels.includes(labels[i]));
    if (!named.length) { return {state: "other", label, present: true}; }
    const reached = named.map(reach);
    const best = reached.find((one) => one.state === "ready") || reached[0];
    return {...best, label, present: true};
  };

  /* --- what it does ------------------------------------------------------------------ */

  const MARKS = {
    captcha: "\u26a0 captcha: answer it yourself | ",
    dialog: "\u26a0 Colab asks you something | ",
  };
  const unmark = () => {
    for (const mark of Object.values(MARKS)) {
      if (document.title.startsWith(mark)) {
        document.title = document.title.slice(mark.length);
      }
    }
  };
  const mark = (state) => {
    const text = MARKS[state];
    if (text && document.title.startsWith(text)) { return; }
    unmark();
    if (text) { document.title = text + document.title; }
  };

  const nextLook = SETTINGS.every_ms >= 1000
    ? "every " + Math.round(SETTINGS.every_ms / 1000) + " s" : "often";
  const TEXTS = {
    missing: ["warn", "the connect button was not found. Is this the page of a notebook on "
      + "Colab, and does the list above the console say \"top\"? Nothing is clicked; I go on "
      + "looking " + nextLook + "."],
    captcha: ["warn", "a captcha is on the page: please answer it yourself. Nothing is "
      + "clicked while it is there."],
    dialog: ["warn", "Colab asks you something in a dialog: please answer it yourself. "
      + "Nothing is clicked while it is open."],
    hidden: ["info", "the connect button says Reconnect, but is not visible: not clicked."],
    disabled: ["info", "the connect button says Reconnect, but is disabled: not clicked."],
    covered: ["info", "the connect button says Reconnect, but something lies over it: not "
      + "clicked."],
    failed: ["warn", "the page could not be read: nothing is clicked."],
  };

  let timer = null;
  let running = true;
  let looks = 0;
  let clicks = 0;
  let unanswered = 0; /* clicks since the button last said something else */
  let lastClick = null; /* in ticks of performance.now() */
  let seen = {state: "", label: "", present: false};
  let told = "";

  const report = () => {
    const patient = seen.state === "missing" && looks < FIRST_LOOKS;
    if (seen.state === told || patient || seen.state === "ready") { return; }
    told = seen.state;
    if (seen.state === "other") {
      const what = seen.label ? "says \"" + seen.label.slice(0, 60) + "\"" : "has no text";
      tell("info", "the connect button was found; it " + what + ": nothing to do.");
    } else {
      const [how, text] = TEXTS[seen.state];
      tell(how, text + (seen.why ? " (" + seen.why + ")" : ""));
    }
  };

  const click = () => {
    const gap = Math.min(COOLDOWN_MS * 2 ** Math.max(0, unanswered - 1), LONGEST_GAP_MS);
    if (lastClick !== null && performance.now() - lastClick < gap) { return; }
    unanswered += 1;
    lastClick = performance.now();
    clicks += 1;
    told = "";
    tell("info", "the connect button was found and says \"" + seen.label
      + "\": clicked (click " + clicks + ").");
    seen.target.click();
  };

  const look = () => {
    looks += 1;
    try {
      seen = inspect();
    } catch (error) {
      seen = {state: "failed", label: "", present: false, why: String(error)};
    }
    if (seen.state === "other") { unanswered = 0; }
    mark(seen.state);
    report();
    if (seen.state === "ready") { click(); }
  };

  const end = (why) => {
    if (!running) { return; }
    running = false;
    clearTimeout(timer);
    unmark();
    tell("info", "stopped: " + why + ". Clicks: " + clicks + ".");
  };

  const tick = () => {
    if (!running) { return; }
    if (elapsed() >= SETTINGS.for_ms) { end("the time is over"); return; }
    look();
    let wait = SETTINGS.every_ms;
    if (seen.state === "missing" && looks < FIRST_LOOKS) { wait = Math.min(wait, 1000); }
    if (seen.state in MARKS) { wait = Math.min(wait, WAITING_MS); }
    timer = setTimeout(tick, Math.max(0, Math.min(wait, SETTINGS.for_ms - elapsed())));
  };

  const old = window[NAME];
  if (old && typeof old.stop === "function") {
    old.stop("pasted again");
    if (Number.isFinite(old.lastClick)) { lastClick = old.lastClick; }
  }
  window[NAME] = Object.freeze({
    stop: (why) => end(typeof why === "string" ? why : "you said so"),
    status: () => ({
      running, looks, clicks, state: seen.state, label: seen.label, found: seen.present,
      until: new Date(started + SETTINGS.for_ms).toISOString(),
    }),
    get lastClick() { return lastClick; },
  });
  tell("info", "runs until " + clock(started + SETTINGS.for_ms) + ", then stops by itself; "
    + "to stop it now: " + NAME + ".stop()\n"
    + "Google does not support this. It cannot keep a VM alive against Colab's limits on "
    + "idle time, lifetime and compute units.\n"
    + "It clicks the connect button when that says Reconnect, at most once a minute, and "
    + "nothing else. Captchas and questions are yours to answer.");
  tick();
})();
