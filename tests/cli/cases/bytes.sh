# shellcheck shell=bash
# A data set whose name is not UTF-8 is remembered as it is; names from the data do not steer the terminal.
make_images $'\xff' 60
evenkeel audit $'\xff' -o RUN --encoder pixels --clusters 3 --quiet >/dev/null
run evenkeel report RUN
run evenkeel report RUN --force
make_images photos 60
(cd photos && find . -name '*.png' -o -name '*.jpg' | sort | awk 'BEGIN { print "file_name,\033[31mred\302\233" } { print $0 "," NR % 2 }') >red.csv
run evenkeel audit photos -o RED --encoder pixels --clusters 3 --attributes red.csv --quiet | grep red
