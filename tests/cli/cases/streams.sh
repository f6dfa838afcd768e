# shellcheck shell=bash
# Standard streams that are full or closed: a result that nobody can read is a failure, and no file takes its place.
# The command, messages, the first line of the result, the exit code.
brief() { run "$@" | sed -n "1p;/^warning\|^evenkeel\|again:\|^[0-9]* images\|^  k  \|^[0-9A-Za-z.-][0-9A-Za-z.-]*$\|^(exit/p"; }
make_images photos 60
brief sh -c 'evenkeel audit photos -o RUN --encoder pixels --clusters 3 --quiet >/dev/full'
brief sh -c 'evenkeel audit RUN --clusters 4 --quiet >&-'
brief sh -c 'evenkeel audit RUN --clusters 5 >/dev/null 2>&-; echo "$?"'
brief sh -c 'evenkeel audit RUN --clusters 6 <&- >&- 2>&-; echo "$?"'
brief sh -c 'evenkeel help >/dev/full'
brief bash -c 'evenkeel help audit | head -n 1 >/dev/null; sleep 0.1; { evenkeel help audit; echo "$?" >&2; } | true'
brief sh -c "tr -d 0-9 <RUN/.lock | wc -c"
brief sh -c 'head -c 6 RUN/embeddings.npy | tail -c 5; echo'
brief evenkeel audit RUN --quiet
