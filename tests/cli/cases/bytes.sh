# shellcheck shell=bash
# A data set whose name is not UTF-8 is remembered as it is.
make_images $'\xff' 60
evenkeel audit $'\xff' -o RUN --encoder pixels --clusters 3 --quiet >/dev/null
run evenkeel report RUN
run evenkeel report RUN --force
