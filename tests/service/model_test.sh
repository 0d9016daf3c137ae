#!/bin/bash
# The models of the change clock, searched as far as takes seconds; `make model` goes further.
exec "$(dirname "$0")/../model/run" bounded
