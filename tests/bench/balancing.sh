#!/bin/sh
# What each way of evening out does to clusters and to classes and attributes that it did not see.
#
#	balancing.sh CIFAR10 UTKFACE.tar [SCRATCH] > table.md
#
# CIFAR10: a folder of class folders, or of .tar files of them; it is made long-tailed (class sizes falling from 5,000
# to 50). UTKFACE.tar has UTKFACE.csv beside it: file_name, age, gender, race. EVENKEEL: the program, build/evenkeel
# unless set. SCRATCH keeps the runs, so that a second call goes on where the first one stopped.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program=${EVENKEEL:-$here/../../build/evenkeel}
cifar=$1
faces=$2
scratch=${3:-$(mktemp -d)}
mkdir -p "$scratch"

if [ ! -e "$scratch/cifar.csv" ]; then
	pictures=$cifar
	if ls "$cifar"/*cifar*.tar >/dev/null 2>&1; then
		pictures=$scratch/cifar
		mkdir -p "$pictures"
		for tar in "$cifar"/*cifar*.tar; do tar -xf "$tar" -C "$pictures"; done
	fi
	python3 "$here/balancing.py" long-tailed "$pictures" "$scratch/cifar.csv"
fi

# Every subset and sampler of the run $1; $2: half of its images; $3: what is known, for comparison.
plans()
{
	run=$1
	half=$2
	known=$3
	for method in furthest nearest middle random random-within; do
		"$program" prune "$run" --method "$method" --keep 0.5 --name "prune-$method" -q >/dev/null
	done
	"$program" balance "$run" --to smallest --rule random --name balance-smallest -q >/dev/null
	"$program" balance "$run" --total "$half" --rule random --name balance-half -q >/dev/null
	"$program" balance "$run" --total "$half" --rule random --max-repeat 10 --name balance-half-repeats -q >/dev/null
	for scheme in inverse sqrt effective-number=auto; do
		"$program" weights "$run" --scheme "$scheme" --name "weights-${scheme%%=*}" -q >/dev/null 2>&1
	done
	"$program" weights "$run" --scheme inverse --by "$known" --name weights-known -q >/dev/null 2>&1
}

"$program" audit "$scratch/cifar.csv" -o "$scratch/run-cifar" --clusters 24 -q >&2
plans "$scratch/run-cifar" "$(($(wc -l <"$scratch/run-cifar/images.jsonl") / 2))" class
"$program" audit "$faces" --attributes "${faces%.tar}.csv" -o "$scratch/run-faces" --clusters 24 -q >&2
plans "$scratch/run-faces" "$(($(wc -l <"$scratch/run-faces/images.jsonl") / 2))" 'gender*race'
python3 "$here/balancing.py" table "$scratch/run-cifar" "$scratch/run-faces"
