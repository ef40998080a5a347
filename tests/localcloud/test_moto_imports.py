"""What the emulator reads, it reads once: in processes of their own, as whatever was imported before would count."""

from __future__ import annotations

import subprocess
import sys
import textwrap

COUNTED = """
import threading
from collections import Counter
from botocore.loaders import JSONFileLoader
read = Counter()
told = JSONFileLoader._load_file
def counted(self, full_path, *rest):
    found = told(self, full_path, *rest)
    if found is not None and full_path.endswith(("/service-2.json", "/service-2.json.gz")):
        read[full_path.split("/data/")[1].split("/")[0]] += 1
    return found
JSONFileLoader._load_file = counted
from localcloud.gate import adapt_moto
from localcloud import calls
adapt_moto()
"""


def _counts(program: str) -> str:
    command = [sys.executable, "-c", COUNTED + textwrap.dedent(program)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_moto_parses_the_description_of_ec2_once() -> None:
    program = """
        calls.router("ec2")
        from moto.backends import get_backend
        get_backend("ec2")["123456789012"]["eu-west-1"]
        get_backend("eks")["123456789012"]["eu-west-1"]
        print(read["ec2"], read["eks"])
    """
    assert _counts(program) == "1 1"


def test_a_service_that_many_call_at_once_is_read_once() -> None:
    program = """
        threads = [threading.Thread(target=calls.router, args=("wafv2",)) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(read["wafv2"])
    """
    assert _counts(program) == "1"
