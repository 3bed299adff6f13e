"""Error cases as people meet them: cells, and what must be said about each.

``real``: torch 2.13 raises it here. ``fake``: torch raises it on the test accelerator.
``recorded``: needs CUDA; the cell raises the text that torch prints there.
"""

from __future__ import annotations

from dataclasses import dataclass

# ruff: noqa: ISC004 (cells of several lines stand in tuples)

HEAD = (
    "import io, os, numpy as np, torch; from torch import nn; from unittest import mock; "
    "from torch.nn import functional as F; "
    "from torch.utils.data import DataLoader, Dataset, TensorDataset; torch.manual_seed(0)"
)
NOTE = (
    "\nCUDA kernel errors might be asynchronously reported at some other API call, so the "
    "stacktrace below might be incorrect.\nFor debugging consider passing "
    "CUDA_LAUNCH_BLOCKING=1\nCompile with `TORCH_USE_CUDA_DSA` to enable device-side "
    "assertions.\n"
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One failing cell.

    Attributes
    ----------
    name
        What happens.
    kind
        ``real``, ``fake`` or ``recorded``.
    before
        Earlier cells.
    cell
        The cell that fails.
    key
        The code that must be given.
    says
        What the cause and the evidence must say.
    commands
        What must be typed, in order; nothing else may be offered.
    repair
        How the one command mends the cell: ``line`` (takes the failing line's place),
        ``before`` (goes before it), ``append`` (see the test), or nothing.
    line
        The line that the command is for.
    train_on
        Whether the cell runs under ``%%train_on``.
    """

    name: str
    kind: str = "real"
    before: str = ""
    cell: str
    key: str
    says: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    repair: str = ""
    line: int = 0
    train_on: bool = False


def raises(text: str, kind: str = "RuntimeError") -> str:
    """Return a cell that fails as torch does on CUDA."""
    return f"x = 1\nraise {kind}({text!r})"


CASES = [
    # --- devices ----------------------------------------------------------------------
    Case(
        name="mask from NumPy beside a result on the device",
        kind="fake",
        before="model = nn.Linear(3, 3).to('fake:0'); x = torch.randn(4, 3, device='fake:0')",
        cell="keep = np.ones((4, 3), dtype='float32')\nmask = torch.from_numpy(keep)\n"
        "out = model(x)\nout = out * mask",
        key="device-mismatch",
        says=(
            "`mask` (cell line 4) is on cpu",
            "`out` is on fake:0",
            "made in cell line 2 by torch.from_numpy",
        ),
        commands=('out = out * mask.to("fake:0")',),
        repair="line",
        line=4,
    ),
    Case(
        name="batch of a loader and a model on the device",
        kind="fake",
        before="model = nn.Linear(3, 2).to('fake:1')\n"
        "loader = DataLoader(TensorDataset(torch.randn(8, 3), torch.ones(8)), 4)",
        cell="for x, y in loader:\n    out = model(x)",
        key="device-mismatch",
        says=(
            "`x` (cell line 2) is on cpu",
            "`model` is on fake:1",
            "`x` comes from the loop over `loader` in cell line 1",
        ),
        commands=('out = model(x.to("fake:1"))',),
        repair="line",
        line=2,
    ),
    Case(
        name="a name that the failing line itself would bind",
        kind="fake",
        before="mask = torch.ones(4); x = torch.ones(4, device='fake:0')",
        cell="if x.shape[0] == 3:\n    mask = torch.zeros(4)\nmask = x * mask",
        key="device-mismatch",
        says=("`mask` (cell line 3) is on cpu",),
        commands=('mask = x * mask.to("fake:0")',),
        repair="line",
        line=3,
    ),
    Case(
        name="scores are a result, the other side is named",
        kind="fake",
        before="model = nn.Linear(3, 2).to('fake:0'); x = torch.randn(4, 3).to('fake:0')\n"
        "y = torch.tensor([0, 1, 1, 0]); weights = torch.ones(4, 2)",
        cell="total = (model(x) + weights).sum()",
        key="device-mismatch",
        says=("`weights` (cell line 1) is on cpu", "`model(x)` is on fake:0"),
        commands=('total = (model(x) + weights.to("fake:0")).sum()',),
        repair="line",
        line=1,
    ),
    Case(
        name="both hidden states of an LSTM",
        kind="fake",
        before="rnn = nn.LSTM(3, 4).to('fake:0'); x = torch.ones(2, 1, 3, device='fake:0')\n"
        "h, c = torch.zeros(1, 1, 4), torch.zeros(1, 1, 4)",
        cell="out, state = rnn(x, (h, c))",
        key="device-mismatch",
        says=("`h`, `c` (cell line 1) is on cpu",),
        commands=('out, state = rnn(x, (h.to("fake:0"), c.to("fake:0")))',),
        repair="line",
        line=1,
    ),
    Case(
        name="a form of a tensor on the CPU",
        kind="fake",
        before="model = nn.Linear(12, 2).to('fake:1'); x = torch.ones(4, 3, 4)",
        cell="out = model(x.flatten(1)[:2])",
        key="device-mismatch",
        says=("`x.flatten(1)[:2]` (cell line 1) is on cpu",),
        commands=('out = model(x.flatten(1)[:2].to("fake:1"))',),
        repair="line",
        line=1,
    ),
    Case(
        name="weights of a loss left on the CPU",
        kind="fake",
        before="criterion = nn.CrossEntropyLoss(weight=torch.ones(3))\n"
        "out = torch.ones(4, 3, device='fake:0')\n"
        "y = torch.zeros(4, dtype=torch.long, device='fake:0')",
        cell="loss = criterion(out, y)",
        key="device-mismatch",
        says=("`criterion` (cell line 1) is on cpu",),
        commands=('criterion.to("fake:0")',),
        repair="before",
        line=1,
    ),
    Case(
        name="model and labels left on the CPU",
        kind="fake",
        before="criterion = nn.CrossEntropyLoss(weight=torch.ones(3))\n"
        "out = torch.ones(4, 3, device='fake:0'); y = torch.zeros(4, dtype=torch.long)",
        cell="loss = criterion(out, y)",
        key="device-mismatch",
        says=("`criterion`, `y` (cell line 1) is on cpu",),
    ),
    Case(
        name="a part of an attribute",
        kind="fake",
        before="class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.places = torch.ones(9, 3)\n"
        "    def forward(self, x):\n"
        "        return x + self.places[:x.shape[0]]\n"
        "net = Net(); x = torch.ones(4, 3, device='fake:0')",
        cell="net(x)",
        key="device-mismatch",
        says=("`self.places[:x.shape[0]]` (line 6 of",),
        commands=("return x + self.places[:x.shape[0]].to(x.device)",),
    ),
    Case(
        name="a statement over two lines",
        kind="fake",
        before="a, b = torch.ones(3), torch.ones(3, device='fake:0')",
        cell="rows = [a + b\n]",
        key="device-mismatch",
        says=("`a` (cell line 1) is on cpu",),
    ),
    Case(
        name="a model by a path that is too long to be shown",
        kind="fake",
        before="a_dictionary_of_models = {'the_first_and_so_far_the_only_one_of_many': "
        "nn.Linear(3, 3)}; x = torch.ones(4, 3, device='fake:0')",
        cell="a_dictionary_of_models['the_first_and_so_far_the_only_one_of_many'](x)",
        key="device-mismatch",
        says=("is on cpu, `x` is on fake:0",),
    ),
    Case(
        name="in the head of a loop",
        kind="fake",
        before="a, b = torch.ones(3), torch.ones(3, device='fake:0')",
        cell="for row in a + b:\n    pass",
        key="device-mismatch",
        commands=('for row in a.to("fake:0") + b:',),
        repair="line",
        line=1,
    ),
    Case(
        name="labels that are no classes at all",
        before="logits = torch.randn(3, 3); y = torch.tensor([0.5, 1.25, 2.0])",
        cell="loss = F.cross_entropy(logits, y)",
        key="target-dtype",
    ),
    Case(
        name="a result on the CPU beside a name on the device",
        kind="fake",
        before="x = torch.ones(3, device='fake:1')",
        cell="y = x + 0\nz = y * torch.ones(3, device='cpu')",
        key="device-mismatch",
        says=(
            "`torch.ones(3, device='cpu')` (cell line 2) is on cpu, `y` is on fake:1",
        ),
        commands=("z = y * torch.ones(3, device='cpu').to(\"fake:1\")",),
        repair="line",
        line=2,
    ),
    Case(
        name="model forgotten on the CPU",
        kind="fake",
        before="model = nn.Linear(3, 2)\nx = torch.randn(4, 3, device='fake:0')",
        cell="print('go')\nmodel(x)",
        key="device-mismatch",
        says=("`model` (cell line 2) is on cpu", "`x` is on fake:0"),
        commands=('model.to("fake:0")',),
        repair="before",
        line=2,
    ),
    Case(
        name="half of a model moved",
        kind="fake",
        before="model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))\n"
        "model[0].to('fake:0'); x = torch.randn(4, 3, device='fake:0')",
        cell="model(x)",
        key="device-mismatch",
        says=("`model.1.weight` is on cpu", "`model` has 2 of its 4 tensors on cpu"),
        commands=('model.to("fake:0")',),
        repair="before",
        line=1,
    ),
    Case(
        name="a plain tensor as attribute of a module",
        kind="fake",
        before="class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.fc = nn.Linear(3, 3)\n"
        "        self.scale = torch.ones(3)\n"
        "    def forward(self, x):\n"
        "        h = self.fc(x)\n"
        "        return h * self.scale\n"
        "net = Net().to('fake:0'); x = torch.randn(4, 3, device='fake:0')",
        cell="net(x)",
        key="device-mismatch",
        says=(
            "`self.scale` (line 8 of the earlier cell that defines forward) is on cpu",
            "`h` is on fake:0",
        ),
        commands=("return h * self.scale.to(h.device)",),
    ),
    Case(
        name="two accelerators",
        kind="fake",
        before="a = torch.ones(3, device='fake:0'); b = torch.ones(3, device='fake:1')",
        cell="a + b",
        key="device-mismatch",
        says=("`a` is on fake:0", "`b` is on fake:1"),
    ),
    Case(
        name="list of tensors to concatenate",
        kind="fake",
        before="a = torch.ones(3, device='fake:0'); b = torch.ones(3)",
        cell="c = torch.cat([a, b])",
        key="device-mismatch",
        says=("`b` (cell line 1) is on cpu",),
        commands=('c = torch.cat([a, b.to("fake:0")])',),
        repair="line",
        line=1,
    ),
    Case(
        name="an argument of the user's own function",
        kind="fake",
        before="def step(inputs, bias):\n    return inputs @ bias\n"
        "w = torch.ones(3, 2); x = torch.ones(4, 3, device='fake:0')",
        cell="for n in range(2):\n    step(x, w)",
        key="device-mismatch",
        says=("`w` (cell line 2) is on cpu, `x` is on fake:0",),
        commands=('step(x, w.to("fake:0"))',),
        repair="line",
        line=2,
    ),
    Case(
        name="a captured tensor under train_on",
        kind="fake",
        before="hidden = torch.ones(3); x = torch.ones(4, 3, device='fake:0')",
        cell="y = x * hidden",
        key="device-mismatch",
        says=("`hidden` (cell line 1) is on cpu", "%%train_on could not see"),
        commands=("y = x * hidden.to(x.device)",),
        repair="line",
        line=1,
        train_on=True,
    ),
    Case(
        name="index on the device into a tensor on the CPU",
        kind="recorded",
        before="rows = torch.arange(4); at = torch.tensor([1], device='meta')",
        cell="class Rows:\n    pass\n"
        "def pick(rows, at):\n"
        "    raise RuntimeError('indices should be either on cpu or on the same device "
        "as the indexed tensor (cpu)')\npick(rows, at)",
        key="index-device",
        says=("an index on the CPU goes with any",),
    ),
    Case(
        name="lengths on the device",
        kind="fake",
        before="data = torch.ones(2, 3, 4, device='fake:0')\n"
        "lengths = torch.tensor([3, 2], device='fake:0')",
        cell="packed = nn.utils.rnn.pack_padded_sequence(data, lengths, batch_first=True)",
        key="cpu-lengths",
        says=("`lengths` (cell line 1) is on fake:0",),
        commands=(
            "packed = nn.utils.rnn.pack_padded_sequence(data, lengths.cpu(), "
            "batch_first=True)",
        ),
        line=1,
    ),
    Case(
        name="a generator of the CPU for the device",
        kind="fake",
        before="",
        cell="g = torch.Generator()\nx = torch.randn(3, device='fake:0', generator=g)",
        key="generator-device",
        says=("`g` (cell line 2) is a generator for cpu",),
        commands=("g = torch.Generator(device='fake:0')",),
        repair="line",
        line=1,
    ),
    Case(
        name="array of a tensor on the device",
        kind="fake",
        before="pred = torch.ones(3, device='fake:0')",
        cell="a = 1\nb = pred.numpy().mean()",
        key="numpy-on-device",
        says=("`pred` (cell line 2) is on fake:0",),
        commands=("b = pred.cpu().numpy().mean()",),
        repair="line",
        line=2,
    ),
    Case(
        name="np.asarray of a tensor with a history on the device",
        kind="fake",
        before="w = torch.ones(3, device='fake:0', requires_grad=True)",
        cell="b = np.asarray(w * 2)",
        key="numpy-on-device",
        commands=(),
    ),
    Case(
        name="array of a tensor with a history",
        before="model = nn.Linear(3, 2); x = torch.ones(1, 3)",
        cell="pred = model(x)\nb = pred.numpy()",
        key="numpy-requires-grad",
        says=("`pred` (cell line 2)", "made in cell line 1 by model"),
        commands=("b = pred.detach().numpy()",),
        repair="line",
        line=2,
    ),
    # --- types and sizes -----------------------------------------------------------------
    Case(
        name="float64 from NumPy into a float32 model",
        before="model = nn.Linear(3, 2); data = np.random.rand(4, 3)",
        cell="x = torch.from_numpy(data)\nout = model(x)",
        key="dtype-mismatch",
        says=(
            "`x` (cell line 2) is float64",
            "`model` is float32",
            "made in cell line 1 by torch.from_numpy",
        ),
        commands=("out = model(x.float())",),
        repair="line",
        line=2,
    ),
    Case(
        name="half precision into a convolution",
        before="net = nn.Conv2d(1, 1, 3); img = torch.ones(1, 1, 5, 5).half()",
        cell="net(img)",
        key="dtype-mismatch",
        says=("`img` (cell line 1) is float16",),
        commands=("net(img.float())",),
        repair="line",
        line=1,
    ),
    Case(
        name="bytes of an image into a convolution",
        before="net = nn.Conv2d(1, 1, 3); img = torch.ones(1, 1, 5, 5, dtype=torch.uint8)",
        cell="net(img)",
        key="dtype-mismatch",
        says=("`img` (cell line 1) is uint8",),
        commands=("net(img.float())",),
        repair="line",
        line=1,
    ),
    Case(
        name="two matrices, one of float64",
        before="a = torch.ones(2, 2); b = torch.ones(2, 2, dtype=torch.double)",
        cell="c = a @ b",
        key="dtype-mismatch",
        commands=("c = a @ b.float()",),
        repair="line",
        line=1,
    ),
    Case(
        name="two vectors, one of float64",
        before="a = torch.ones(2); b = torch.ones(2, dtype=torch.double)",
        cell="c = a @ b",
        key="dtype-mismatch",
        says=("`b` (cell line 1) is float64",),
        commands=("c = a @ b.float()",),
        repair="line",
        line=1,
    ),
    Case(
        name="a matrix and a vector of float64",
        before="a = torch.ones(2, 2); b = torch.ones(2, dtype=torch.double)",
        cell="c = a @ b",
        key="dtype-mismatch",
        commands=("c = a @ b.float()",),
        repair="line",
        line=1,
    ),
    Case(
        name="a system of equations, one side of float64",
        before="a = torch.eye(2); b = torch.ones(2, 1, dtype=torch.double)",
        cell="c = torch.linalg.solve(a, b)",
        key="dtype-mismatch",
        commands=("c = torch.linalg.solve(a, b.float())",),
        repair="line",
        line=1,
    ),
    Case(
        name="float64 into an LSTM",
        before="rnn = nn.LSTM(3, 4); x = torch.ones(2, 1, 3).double()",
        cell="out, _ = rnn(x)",
        key="dtype-mismatch",
        commands=("out, _ = rnn(x.float())",),
        repair="line",
        line=1,
    ),
    Case(
        name="float64 into the forward of a class of an earlier cell",
        before="class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__(); self.conv = nn.Conv2d(1, 2, 3)\n"
        "    def forward(self, x):\n"
        "        return F.relu(self.conv(x))\n"
        "model = Net(); images = torch.from_numpy(np.ones((2, 1, 8, 8)))",
        cell="n = 1\nout = model(images)",
        key="dtype-mismatch",
        says=("`images` (cell line 2) is float64, `model` is float32",),
        commands=("out = model(images.float())",),
        repair="line",
        line=2,
    ),
    Case(
        name="another type made inside a forward of an earlier cell",
        before="class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__(); self.fc = nn.Linear(3, 1)\n"
        "    def forward(self, x):\n"
        "        x = x.double()\n"
        "        return self.fc(x)\n"
        "model = Net()",
        cell="out = model(torch.ones(2, 3))",
        key="dtype-mismatch",
        says=("earlier cell that defines forward) is float64, `self.fc` is float32",),
        commands=("return self.fc(x.float())",),
    ),
    Case(
        name="labels that the cell itself made floats",
        before="criterion = nn.CrossEntropyLoss(); model = nn.Linear(3, 2)\n"
        "X, y = torch.ones(4, 3), torch.zeros(4)",
        cell="loss = criterion(model(X), y.float())",
        key="target-dtype",
        says=("`y.float()` (cell line 1) are float32",),
        commands=("loss = criterion(model(X), y.long())",),
        repair="line",
        line=1,
    ),
    Case(
        name="one-hot labels of whole numbers",
        before="criterion = nn.CrossEntropyLoss(); model = nn.Linear(3, 2)\n"
        "X, y = torch.ones(4, 3), torch.zeros(4).long()",
        cell="hot = F.one_hot(y, 2)\nloss = criterion(model(X), hot)",
        key="target-dtype",
        says=("`hot` (cell line 2) are Long", "made in cell line 1 by F.one_hot"),
        commands=("loss = criterion(model(X), hot.float())",),
        repair="line",
        line=2,
    ),
    Case(
        name="one-hot labels written into the loss",
        before="criterion = nn.CrossEntropyLoss(); model = nn.Linear(3, 2)\n"
        "X, y = torch.ones(4, 3), torch.zeros(4).long()",
        cell="loss = criterion(model(X), F.one_hot(y, 2))",
        key="target-dtype",
        commands=("loss = criterion(model(X), F.one_hot(y, 2).float())",),
        repair="line",
        line=1,
    ),
    Case(
        name="two classes: labels without the column of the scores",
        before="criterion = nn.BCEWithLogitsLoss(); model = nn.Linear(3, 1)\n"
        "X, y = torch.ones(4, 3), torch.zeros(4)",
        cell="loss = criterion(model(X), y)",
        key="target-shape",
        says=("has the size [4] for scores of [4, 1]: one dimension too few",),
        commands=("loss = criterion(model(X), y.unsqueeze(1))",),
        repair="line",
        line=1,
    ),
    Case(
        name="two classes: labels with a column that the scores have not",
        before="criterion = nn.BCELoss(); y = torch.zeros(4, 1)",
        cell="loss = criterion(torch.ones(4), y)",
        key="target-shape",
        commands=("loss = criterion(torch.ones(4), y.squeeze(1))",),
        repair="line",
        line=1,
    ),
    Case(
        name="two classes: sizes that have nothing in common",
        before="criterion = nn.BCEWithLogitsLoss()",
        cell="loss = criterion(torch.ones(4, 2), torch.ones(4))",
        key="target-shape",
        says=("scores [4, 2], labels [4]",),
    ),
    Case(
        name="scores for a loss that takes probabilities",
        before="criterion = nn.BCELoss(); model = nn.Linear(3, 1); X = torch.ones(4, 3)\n"
        "nn.init.constant_(model.weight, 3.0)",
        cell="loss = criterion(model(X), torch.ones(4, 1))",
        key="not-probabilities",
        says=("`model(X)` (cell line 1) has values outside",),
        commands=("loss = criterion(model(X).sigmoid(), torch.ones(4, 1))",),
        repair="line",
        line=1,
    ),
    Case(
        name="nan for a loss that takes probabilities",
        before="criterion = nn.BCELoss(); bad = torch.full((4,), float('nan'))",
        cell="loss = criterion(bad, torch.ones(4))",
        key="not-probabilities",
        says=("the scores hold nan",),
    ),
    Case(
        name="one image without a batch for a batch norm",
        before="model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))\n"
        "image = torch.ones(3, 8, 8)",
        cell="out = model(image)",
        key="missing-dimension",
        says=("`image` (cell line 1) has the size [3, 8, 8]", "wants 4", "the batch"),
        commands=("out = model(image.unsqueeze(0))",),
        repair="line",
        line=1,
    ),
    Case(
        name="grey images without channels",
        before="model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())\n"
        "images = torch.ones(32, 28, 28)",
        cell="out = model(images)",
        key="missing-dimension",
        says=("`images` (cell line 1)", "the one of the channels is missing"),
        commands=("out = model(images.unsqueeze(1))",),
        repair="line",
        line=1,
    ),
    Case(
        name="one grey image without batch and channels",
        before="conv = nn.Conv2d(3, 4, 3); images = torch.ones(32, 28, 28)",
        cell="out = conv(images)",
        key="missing-dimension",
        says=("batch, channels, then the image",),
    ),
    Case(
        name="detached already, and on the device",
        kind="fake",
        before="zz = torch.ones(3, device='fake:0', requires_grad=True)",
        cell="array = zz.detach().numpy()",
        key="numpy-on-device",
        commands=("array = zz.detach().cpu().numpy()",),
        repair="line",
        line=1,
    ),
    Case(
        name="labels of float for a loss over classes",
        before="logits = torch.randn(4, 3); y = torch.tensor(np.array([0., 1., 2., 1.]))",
        cell="criterion = nn.CrossEntropyLoss()\nloss = criterion(logits, y)",
        key="target-dtype",
        says=("`y` (cell line 2) are float64",),
        commands=("loss = criterion(logits, y.long())",),
        repair="line",
        line=2,
    ),
    Case(
        name="labels of int32",
        before="logits = torch.randn(4, 3); y = torch.ones(4, dtype=torch.int32)",
        cell="loss = F.cross_entropy(logits, y)",
        key="target-dtype",
        commands=("loss = F.cross_entropy(logits, y.long())",),
        repair="line",
        line=1,
    ),
    Case(
        name="labels with one dimension too many",
        before="logits = torch.randn(4, 3); y = torch.ones(4, 1, dtype=torch.long)",
        cell="loss = F.cross_entropy(logits, y)",
        key="target-shape",
        says=("[4, 1]",),
        commands=("loss = F.cross_entropy(logits, y.squeeze(1))",),
        repair="line",
        line=1,
    ),
    Case(
        name="scores of a sequence with the classes last",
        before="logits = torch.randn(4, 5, 3); y = torch.zeros(4, 5, dtype=torch.long)",
        cell="loss = F.cross_entropy(logits, y)",
        key="target-shape",
        says=("[4, 5, 3]",),
        commands=("loss = F.cross_entropy(logits.transpose(1, 2), y)",),
        repair="line",
        line=1,
    ),
    Case(
        name="a layer of another size",
        before="model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(10, 2))",
        cell="x = torch.ones(4, 8)\nmodel(x)",
        key="shape-mismatch",
        says=("`model[2]` takes 10 features and got 16",),
    ),
    Case(
        name="images into a linear layer",
        before="model = nn.Linear(28 * 28, 10); images = torch.ones(4, 1, 28, 28)",
        cell="model(images)",
        key="shape-mismatch",
        says=("`model` takes 784 features",),
        commands=("model(images.flatten(1))",),
        repair="line",
        line=1,
    ),
    Case(
        name="matrices that do not fit",
        before="a = torch.ones(2, 3)",
        cell="a @ a",
        key="shape-mismatch",
        says=("2x3",),
    ),
    Case(
        name="labels that count from one",
        before="logits = torch.randn(4, 3); y = torch.tensor([1, 2, 3, 1])",
        cell="F.cross_entropy(logits, y)",
        key="target-range",
        says=("count from 1 to 3",),
        commands=("F.cross_entropy(logits, y - 1)",),
        repair="line",
        line=1,
    ),
    Case(
        name="a label of labels without a name",
        before="logits = torch.randn(4, 3)",
        cell="F.cross_entropy(logits, torch.tensor([0, 2, 7, 1]))",
        key="target-range",
        says=("the label 7 is none of the 3 classes 0 to 2",),
    ),
    Case(
        name="a label that is no class",
        before="logits = torch.randn(4, 3); y = torch.tensor([0, 2, 7, 1])",
        cell="F.cross_entropy(logits, y)",
        key="target-range",
        says=("the label 7 in `y`", "classes 0 to 2", "labels from 0 to 7"),
    ),
    Case(
        name="a token outside of the embedding",
        before="emb = nn.Embedding(10, 4); tokens = torch.tensor([1, 12])",
        cell="emb(tokens)",
        key="embedding-range",
        says=("`emb` has 10 rows", "`tokens` has numbers from 1 to 12"),
    ),
    # --- gradients -----------------------------------------------------------------------
    Case(
        name="loss made before the loop",
        before="model = nn.Linear(3, 1); x = torch.ones(4, 3)",
        cell="loss = model(x).pow(2).sum()\nfor i in range(3):\n    loss.backward()",
        key="backward-twice",
        says=("made once in cell line 1, before the loop of line 2",),
        commands=("loss = model(x).pow(2).sum()",),
        repair="before",
        line=3,
    ),
    Case(
        name="two calls in a row",
        before="model = nn.Linear(3, 1); x = torch.ones(4, 3)",
        cell="loss = model(x).pow(2).sum()\nloss.backward()\nloss.backward()",
        key="backward-twice",
        says=("line 2 has used its graph up",),
        commands=("loss.backward(retain_graph=True)",),
        repair="line",
        line=2,
    ),
    Case(
        name="loss made before the loop from a result made before the loop",
        before="model = nn.Linear(3, 1); x = torch.ones(4, 3)",
        cell="out = model(x)\nloss = out.pow(2).sum()\nfor i in range(3):\n"
        "    loss.backward()",
        key="backward-twice",
        says=("`loss` (cell line 4)",),
    ),
    Case(
        name="two calls with a step between",
        before="model = nn.Linear(3, 1); x = torch.ones(4, 3)\n"
        "opt = torch.optim.SGD(model.parameters(), lr=0.1)",
        cell="loss = model(x).pow(2).sum()\nloss.backward()\nopt.step()\nloss.backward()",
        key="backward-twice",
        says=("`loss` (cell line 4)",),
    ),
    Case(
        name="a hidden state carried over",
        before="w = torch.ones(3, requires_grad=True)",
        cell="h = torch.ones(3)\nfor i in range(2):\n    h = (h * w).exp()\n"
        "    loss = h.sum()\n    loss.backward()",
        key="backward-twice",
        says=("`loss` (cell line 5)",),
    ),
    Case(
        name="a weight changed by hand",
        before="w = torch.ones(3, requires_grad=True)",
        cell="(w * 2).sum().backward()\nw -= 0.1 * w.grad",
        key="leaf-in-place",
        says=("`w` (cell line 2)",),
        commands=("with torch.no_grad(): w -= 0.1 * w.grad",),
        repair="line",
        line=2,
    ),
    Case(
        name="a loss made into a new tensor",
        before="model = nn.Linear(3, 1); x = torch.ones(4, 3)",
        cell="out = model(x).sum()\nloss = torch.tensor(out)\nloss.backward()",
        key="no-grad",
        says=("torch.tensor(…) in cell line 2",),
        commands=("loss = out",),
        repair="line",
        line=2,
    ),
    Case(
        name="a loss computed without gradients",
        before="model = nn.Linear(3, 1); x = torch.ones(4, 3)",
        cell="with torch.no_grad():\n    loss = model(x).sum()\nloss.backward()",
        key="no-grad",
        says=("computed in cell line 2", "with torch.no_grad()"),
    ),
    Case(
        name="all weights frozen",
        before="model = nn.Linear(3, 1).requires_grad_(False); x = torch.ones(4, 3)",
        cell="loss = model(x).sum()\nloss.backward()",
        key="no-grad",
        says=("`loss` (cell line 2) does not depend on any weight",),
    ),
    Case(
        name="an array of objects that are numbers",
        before="a = np.array([1, 2.5, 3], dtype=object)",
        cell="t = torch.from_numpy(a)",
        key="array-type",
        says=("the type object", "holds numbers only"),
        commands=('t = torch.from_numpy(a.astype("float32"))',),
        repair="line",
        line=1,
    ),
    Case(
        name="an array of texts",
        before="names = np.array(['cat', 'dog'])",
        cell="t = torch.from_numpy(names)",
        key="array-type",
        says=("`names` (cell line 1) has the type str",),
    ),
    # --- files ---------------------------------------------------------------------------
    Case(
        name="weights of a wrapped model",
        before="model = nn.Linear(3, 2)\n"
        "state = {'module.' + k: v for k, v in model.state_dict().items()}",
        cell="model.load_state_dict(state)",
        key="state-dict-keys",
        says=("begins with `module.`",),
        commands=(
            'model.load_state_dict({key.removeprefix("module."): value '
            "for key, value in state.items()})",
        ),
        repair="line",
        line=1,
    ),
    Case(
        name="a whole checkpoint instead of its weights",
        before="model = nn.Linear(3, 2)\n"
        "checkpoint = {'epoch': 3, 'model': dict(model.state_dict()), 'opt': {}}",
        cell="model.load_state_dict(checkpoint)",
        key="state-dict-keys",
        says=("its entry `model`", "not in the file: bias, weight"),
        commands=('model.load_state_dict(checkpoint["model"])',),
        repair="line",
        line=1,
    ),
    Case(
        name="weights of another size",
        before="model = nn.Linear(3, 2); state = nn.Linear(4, 2).state_dict()",
        cell="model.load_state_dict(state)",
        key="state-dict-sizes",
        says=("weight: the file has [2, 4], the model [2, 3]",),
    ),
    Case(
        name="a file that holds more than weights",
        before="file = io.BytesIO(); torch.save(nn.Linear(2, 2), file); file.seek(0)",
        cell="file.seek(0)\nmodel = torch.load(file)",
        key="weights-only",
        says=("torch.nn.modules.linear.Linear",),
        commands=("model = torch.load(file, weights_only=False)",),
        repair="line",
        line=2,
    ),
    Case(
        name="a file from CUDA on a machine without",
        before="file = io.BytesIO()\n"
        "with mock.patch('torch.serialization.location_tag', lambda storage: 'cuda:0'):\n"
        "    torch.save(torch.ones(2), file)",
        cell="file.seek(0)\nweights = torch.load(file)",
        key="cuda-checkpoint",
        says=("written on CUDA",),
        commands=('weights = torch.load(file, map_location="cpu")',),
        repair="line",
        line=2,
    ),
    # --- the device itself, as CUDA says it --------------------------------------------------
    Case(
        name="device-side assert (2.4 to 2.7)",
        kind="recorded",
        cell=raises("CUDA error: device-side assert triggered" + NOTE),
        key="device-assert",
        says=("has ended this process's use of it", "cell line 2"),
        commands=("%env CUDA_LAUNCH_BLOCKING=1",),
    ),
    Case(
        name="device-side assert under train_on",
        kind="recorded",
        cell=raises("CUDA error: device-side assert triggered" + NOTE),
        key="device-assert",
        commands=("%%train_on cpu",),
        train_on=True,
    ),
    Case(
        name="illegal access",
        kind="recorded",
        cell=raises("CUDA error: an illegal memory access was encountered" + NOTE),
        key="illegal-access",
        commands=("%env CUDA_LAUNCH_BLOCKING=1",),
    ),
    Case(
        name="no kernel image",
        kind="recorded",
        cell=raises(
            "CUDA error: no kernel image is available for execution on the device"
            + NOTE
        ),
        key="no-kernel-image",
        commands=("%gpu_check",),
    ),
    Case(
        name="CUDA in a worker",
        kind="recorded",
        cell=raises(
            "Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback (most "
            'recent call last):\n  File "x.py", line 1\nRuntimeError: Cannot re-initialize '
            "CUDA in forked subprocess. To use CUDA with multiprocessing, you must use the "
            "'spawn' start method"
        ),
        key="cuda-fork",
        says=("Keep the Dataset on the CPU",),
        commands=("num_workers=0",),
    ),
    Case(
        name="CUDA in a process of the user",
        kind="recorded",
        cell=raises(
            "Cannot re-initialize CUDA in forked subprocess. To use CUDA with "
            "multiprocessing, you must use the 'spawn' start method"
        ),
        key="cuda-fork",
    ),
    Case(
        name="cuDNN not initialised",
        kind="recorded",
        cell=raises("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
        key="cudnn-failed",
        commands=("%gpu_check",),
    ),
    Case(
        name="cuBLAS without memory",
        kind="recorded",
        cell=raises(
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
        ),
        key="cublas-failed",
        says=("CUBLAS_STATUS_ALLOC_FAILED",),
        commands=("%gpu_check",),
    ),
    Case(
        name="cuBLAS failed while running",
        kind="recorded",
        cell=raises(
            "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm( handle, "
            "opa, opb, m, n, k, &alpha, a, lda, b, ldb, &beta, c, ldc)`"
        ),
        key="cublas-failed",
    ),
    Case(
        name="a build for the CPU",
        cell="model = nn.Linear(2, 2)\nmodel = model.cuda()",
        key="not-compiled",
        says=("cell line 2: model = model.cuda()",),
        commands=("%gpu_check",),
    ),
    Case(
        name="no driver",
        kind="recorded",
        cell=raises(
            "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU "
            "and installed a driver from http://www.nvidia.com/Download/index.aspx"
        ),
        key="no-driver",
        commands=("%gpu_check",),
    ),
    Case(
        name="a GPU that is not there",
        kind="recorded",
        cell=raises("CUDA error: invalid device ordinal" + NOTE),
        key="invalid-ordinal",
        commands=("%gpu_check",),
    ),
    # --- loaders -----------------------------------------------------------------------------
    Case(
        name="samples of different lengths",
        before="rows = [torch.ones(2), torch.ones(3)]",
        cell="for batch in DataLoader(rows, batch_size=2):\n    pass",
        key="collate-sizes",
        says=("the first has [2], number 1 has [3]",),
    ),
    Case(
        name="samples of different lengths, in a worker",
        before="rows = [torch.ones(2), torch.ones(3)]",
        cell="for batch in DataLoader(rows, batch_size=2, num_workers=1):\n    pass",
        key="collate-sizes",
        says=("the first has [2], number 1 has [3]",),
    ),
    Case(
        name="a worker that ends the process",
        before="class Ends(Dataset):\n    def __len__(self): return 4\n"
        "    def __getitem__(self, i): os._exit(1)",
        cell="for batch in DataLoader(Ends(), batch_size=2, num_workers=1):\n    pass",
        key="worker-exited",
        commands=("num_workers=0",),
    ),
    Case(
        name="a worker killed for memory",
        kind="recorded",
        cell=raises("DataLoader worker (pid 4711) is killed by signal: Killed. "),
        key="worker-killed",
        says=("memory was full",),
        commands=("num_workers=0",),
    ),
    Case(
        name="shared memory full",
        kind="recorded",
        cell=raises(
            "DataLoader worker (pid 12) is killed by signal: Bus error. It is possible that "
            "dataloader's workers are out of shared memory. Please try to raise your shared "
            "memory limit."
        ),
        key="shared-memory",
        says=("MiB of them free now",),
        commands=("num_workers=0",),
    ),
    Case(
        name="too many shared files",
        kind="recorded",
        cell=raises("received 0 items of ancdata"),
        key="open-files",
        commands=('torch.multiprocessing.set_sharing_strategy("file_system")',),
    ),
    Case(
        name="too many files of the user",
        kind="recorded",
        cell="x = 1\nraise OSError(24, 'Too many open files', 'a.png')",
        key="open-files",
        says=("this process may open",),
    ),
    # --- the same as other versions word it --------------------------------------------------
    Case(
        name="two devices, torch 2.4 wording, no names to be seen",
        kind="recorded",
        cell=raises(
            "Expected all tensors to be on the same device, but found at least two devices, "
            "cuda:0 and cpu! (when checking argument for argument mat1 in method "
            "wrapper_CUDA_addmm)"
        ),
        key="device-mismatch",
        says=("torch speaks of cuda:0 and cpu",),
    ),
    Case(
        name="two devices, torch 2.9 wording",
        kind="recorded",
        cell=raises(
            "Expected all tensors to be on the same device, but got mat2 is on cpu, different "
            "from other tensors on cuda:0 (when checking argument in method wrapper_CUDA_mm)"
        ),
        key="device-mismatch",
        says=("torch speaks of cpu and cuda:0",),
    ),
    Case(
        name="precision, torch 2.0 wording",
        kind="recorded",
        cell=raises("expected scalar type Half but found Float"),
        key="dtype-mismatch",
        says=("Half and Float",),
    ),
]

# Errors for which a rule must stay silent: it would not be about what they are about.
NEAR_MISSES = {
    "an ordinary error": "1 / 0",
    "a name that is missing": "modle(x)",
    "a plain ValueError": "int('x')",
    "a file that is missing": "open('no such file')",
    "an out-of-memory of the device": (
        "raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB')"
    ),
    "sizes in an addition": "torch.ones(2) + torch.ones(3)",
    "a view that cannot be": "torch.ones(3).view(2)",
    "stack outside of a loader": "torch.stack([torch.ones(2), torch.ones(3)])",
    "an index of a tensor": "torch.ones(3)[5]",
    "an index of a list": "[][1]",
    "text of the user about a target": "raise IndexError('Target 3 is out of bounds.')",
    "text of the user about self": "raise IndexError('index out of range in self')",
    "a killed subprocess": "raise RuntimeError('worker is killed by signal: Killed')",
    "an interrupt": "raise KeyboardInterrupt('device-side assert triggered')",
    "a full disk": "raise OSError(28, 'No space left on device')",
    "a missing key": "{}['weight']",
    "a batch that does not fit its labels": "F.cross_entropy(torch.ones(4, 3), "
    "torch.tensor([0, 1, 2]))",
    "a wrong import": "import nothing_of_this_name",
    "an assertion": "assert 1 == 2, 'Torch'",
    "an exit": "raise SystemExit(0)",
}
