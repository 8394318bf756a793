"""Tasks for worker processes that go wrong."""

import os
import time
from typing import Any

from liveavatar.audio.batch.worker_process import Report


def work_oddly(task: Any, report: Report) -> Any:
    """Report the task and return it; "die" and "hang" do what they say."""
    report(task)
    if task == "die":
        os._exit(3)
    if task == "hang":
        time.sleep(600)
    return [task, os.getpid()]
