#!/bin/sh
# Find a Python that can make .venv, and let it run install.py: ./install.sh {local,plan,deploy,dev,scanners,loadtest,fuzz}
# PYTHON=... names one; else the Python of .venv, else the one that .python-version pins, else any that will do.
set -u
cd "$(dirname "$0")" || exit 1

good='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'
seen=''
for python in ${PYTHON:-.venv/bin/python python3.11 python3.12 python3.13 python3.14 python3 python}; do
    if "$python" -I -c "$good" 2>/dev/null; then
        exec "$python" -I install.py "$@"
    fi
    version=$("$python" --version 2>&1) && seen="${seen:+$seen, }$python is $version"
done

echo "install: Python 3.11 or newer with its modules venv and ensurepip is needed, and none was found (${seen:-no Python at all}). Install one (Debian, Ubuntu: apt install python3-venv), or name it: make install PYTHON=/path/to/python3.11" >&2
exit 1
