# shellcheck shell=bash
# Sourced by the first step of action.yml: leaves a Python that has Holdfast, and names it as the output `python`.
# HOLDFAST_PYTHON, where it is set, is one that has it already. Nothing here runs from the checkout under review.
set -eu
refuse() {
  echo "::error title=Holdfast::$1"
  exit 3
}
[ "${RUNNER_OS:-}" != Windows ] || refuse "Holdfast runs on Linux and macOS; choose such a runner for this job"
holdfast="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
cd "$RUNNER_TEMP"
python="${HOLDFAST_PYTHON:-}"
if [ -z "$python" ]; then
  python3 -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    refuse "Python 3.11 or newer is needed; put actions/setup-python before Holdfast"
  venv="$RUNNER_TEMP/holdfast-$(printf %s "$holdfast" | cksum | cut -d ' ' -f 1)" # one for each version in the job
  python="$venv/bin/python"
  if [ ! -f "$venv/ready" ]; then
    python3 -I -m venv "$venv"
    "$python" -I -m pip install --quiet --disable-pip-version-check --require-hashes -r "$holdfast/requirements/run.txt"
    "$python" -I -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation "$holdfast"
    touch "$venv/ready"
  fi
fi
printf 'python=%s\n' "$python" >> "$GITHUB_OUTPUT"
