"""Python processes that lack something, or do as on another system."""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]


def said_by(script, folder, encoding="utf-8", **environment):
    """What a script beside this file prints last, as JSON; it runs in that folder."""
    shared = {"PYTHONPATH": str(CHECKOUT), "MPLBACKEND": "agg", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, HERE / script],
        cwd=folder,
        env=os.environ | shared | environment,
        capture_output=True,
        text=True,
        encoding=encoding,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])
