"""A published folder goes to the Hugging Face hub: told first, sent only when asked for in so many words."""

from __future__ import annotations

import re
from pathlib import Path

from isheep.data.files import files_in
from isheep.errors import UserError
from isheep.proof import privacy

NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def push(folder: Path, repository: str, *, execute: bool, public: bool) -> list[str]:
    """Send a published data set or model; return what was, or would be, done, line by line.

    Parameters
    ----------
    folder
        `results/{run}/published/d_{i}` or `iter_{i}`.
    repository
        `owner/name` on the hub.
    execute
        Send; otherwise nothing leaves this machine.
    public
        Make a new repository public; it is private otherwise.

    Raises
    ------
    UserError
        Not a published folder, no such name, something private in it, or the hub refuses.
    """
    if not NAME.fullmatch(repository):
        raise UserError(f"{repository!r}: the hub's names are owner/name")
    files = files_in(folder) if folder.is_dir() else {}
    if "README.md" not in files:
        raise UserError(f"{folder}: not a published folder (no README.md); type snakemake publish first")
    kind = "dataset" if any(name.startswith("jsonl/") for name in files) else "model"
    privacy.check(files.values())
    total = sum(path.stat().st_size for path in files.values())
    plan = [f"{kind} {repository} ({'public' if public else 'private'}): {len(files)} files, {total:,} bytes"]
    plan += [f"  {name}  {path.stat().st_size:,}" for name, path in files.items()]
    if not execute:
        return [*plan, "Nothing was sent. Add --execute to send it."]
    return [*plan, f"sent: {_send(folder, repository, kind, private=not public)}"]


def _send(folder: Path, repository: str, kind: str, *, private: bool) -> str:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    api = HfApi()
    try:
        api.create_repo(repository, repo_type=kind, private=private, exist_ok=True)
        sent = api.upload_folder(
            folder_path=folder, repo_id=repository, repo_type=kind, commit_message="Add the published folder",
            ignore_patterns=[".*", "**/.*"],
        )  # fmt: skip
    except LocalTokenNotFoundError:
        raise UserError("the hub does not know you; type hf auth login") from None
    except (HfHubHTTPError, OSError) as error:
        raise UserError(f"{repository}: the hub refused ({str(error).splitlines()[0]})") from None
    return str(sent)
