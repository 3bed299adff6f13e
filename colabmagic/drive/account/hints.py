"""What to type to log in: whole lines, to be pasted as they stand."""

from __future__ import annotations

from typing import Final

LOGIN: Final = "%mount_drive --login --client client.json"
LOGIN_ELSEWHERE: Final = (
    "python -m colabmagic drive login --client client.json --out token.json"
)
GCLOUD: Final = (
    "gcloud auth application-default login --client-id-file=client.json "
    "--scopes=openid,https://www.googleapis.com/auth/cloud-platform,"
    "https://www.googleapis.com/auth/drive"
)
TO_LOG_IN: Final = (
    f"{LOGIN}\n"
    "no client.json yet? It takes five minutes, once: %mount_drive --doctor tells how"
)
TO_USE_GCLOUD: Final = (
    f"{GCLOUD}\n"
    "no client.json yet? %mount_drive --doctor tells how; or leave out --creds adc"
)
MAKE_ONE: Final = (
    "Google Cloud console > APIs & Services > Credentials > Create credentials > "
    "OAuth client ID > Desktop app > Download JSON"
)
