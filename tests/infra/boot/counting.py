"""A trainer that counts to the number it is told, one step at a time, and goes on from its checkpoint.

After SIGTERM it writes a checkpoint and ends. Each step is a line of the file STEPS.
"""

import os
import signal
import sys
import time
from pathlib import Path

checkpoint = Path(os.environ["CHECKPOINTS"], "step")
stopping: list[bool] = []
signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
step = int(checkpoint.read_text()) if checkpoint.exists() else 0
end, code = int(sys.argv[1]), int(os.environ.get("EXIT", "0"))
while step < end:
    step += 1
    with Path(os.environ["STEPS"]).open("a") as file:
        file.write(f"{step}\n")
    if stopping or code:
        new = checkpoint.with_suffix(".new")
        new.write_text(str(step))
        new.rename(checkpoint)
        sys.exit(code or 143)
    time.sleep(float(os.environ.get("SECONDS_A_STEP", "0.01")))
