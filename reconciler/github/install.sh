# shellcheck shell=bash
# Sourced by the first step of action.yml: leaves a Python that has Holdfast, and names it as the output `python`.
# HOLDFAST_PYTHON, where it is set, is one that has it already. Nothing here runs from the checkout under review.
set -eu
holdfast="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
cd "$RUNNER_TEMP"
python="${HOLDFAST_PYTHON:-}"
if [ -z "$python" ]; then
  if ! python3 -I -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "::error title=Holdfast::Python 3.11 or newer is needed; put actions/setup-python before Holdfast"
    exit 3
  fi
  python="$RUNNER_TEMP/holdfast-venv/bin/python"
  if [ ! -f "$RUNNER_TEMP/holdfast-venv/ready" ]; then
    python3 -I -m venv "$RUNNER_TEMP/holdfast-venv"
    "$python" -I -m pip install --quiet --disable-pip-version-check --require-hashes -r "$holdfast/requirements/run.txt"
    "$python" -I -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation "$holdfast"
    touch "$RUNNER_TEMP/holdfast-venv/ready"
  fi
fi
printf 'python=%s\n' "$python" >> "$GITHUB_OUTPUT"
