# shellcheck shell=bash
# What is said to somebody who does not know the program, or mistypes.
run evenkeel
run evenkeel help cluster
run evenkeel audti
run evenkeel traim
run evenkeel train
run evenkeel audit
run evenkeel audit photos
run evenkeel audit photos more
run evenkeel audit photos -o
run evenkeel cluster
run evenkeel cluster nowhere
run evenkeel cluster a b
run evenkeel audit photos -o RUN --cluster 12
run evenkeel audit photos -o RUN --clusters none
run evenkeel audit photos -o RUN --encoder resnet
run evenkeel audit photos -o RUN --device gpu
run evenkeel audit photos -o RUN --device cuda:
run evenkeel audit photos -o RUN --device cuda:1x
run evenkeel info nowhere
run evenkeel help nothing
run evenkeel completion zsh
# shellcheck disable=SC1090,SC2034
complete_words() {
	(source <(evenkeel completion) && COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) && _evenkeel && echo "${COMPREPLY[@]}")
}
complete_words evenkeel pr
complete_words evenkeel train ''
complete_words evenkeel prune RUN --kee
complete_words evenkeel prune RUN --method ssp
complete_words evenkeel train flow RUN --space p
evenkeel manual | grep -F -A 1 -e "-\\-max" | sed "s/[0-9]\{4,\}/MANY/"
mkdir other && touch other/file
run evenkeel audit other -o other
# of a run that has nothing yet, since its first scan was killed, every command says what comes first
mkdir NEW && echo 'evenkeel 1' >NEW/.lock
run evenkeel label NEW
run evenkeel export NEW --subset half -o out
run evenkeel sweep NEW --methods furthest --keeps 0.5 --space pixel --steps 20
# options that would do nothing are left out
run evenkeel help completion
run evenkeel help draw | grep -E '^  .*--(seed|threads|device|force|json|quiet|help)'
complete_words evenkeel version --
# What only some data sets or commands need is loaded by these: no other start pays for it.
readelf -d "$(command -v evenkeel)" | grep -c -E 'NEEDED.*lib(archive|arrow|avif|crypto|microhttpd|parquet)'
tar -cf one.tar other && mkdir broken && touch "broken/$(grep -ao 'libarchive\.so\.[0-9]*' "$(command -v evenkeel)" | head -n 1)"
run env LD_LIBRARY_PATH=broken evenkeel scan one.tar -o NEWER | sed 's/so\.[0-9]*/so.N/'
