#!/usr/bin/env bash
# A generator of CIFAR-10's pixels, and what weights do for one of the same photographs made long-tailed.
#
#	real.sh generator SCRATCH TAR...    one told nothing and one told the cluster: measures of 5,000 images each, a sheet
#	real.sh tail SCRATCH TAR...         natural, cluster-, group- and label-weighted, three trainings each: coverage by class
#
# TAR...: CIFAR-10 as tars of CLASS/NAME.jpg. Stopped or killed, the same command goes on where it was. EVENKEEL is the
# program (build/evenkeel unless set); DEVICE, STEPS, COUNT, SAMPLE_STEPS and NETWORK change what they say below.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
program=${EVENKEEL:-$here/../../../build/evenkeel}
part=$1 scratch=$2
shift 2
mkdir -p "$scratch"
count=${COUNT:-5000}

evenkeel() {
	"$program" "$@" --device "${DEVICE:-auto}" --quiet
}

# RUN NAME OPTIONS...: a training, from the pixels
train() {
	local run=$1 name=$2
	shift 2
	# shellcheck disable=SC2086 # NETWORK is a list of options
	evenkeel train flow "$run" --name "$name" --space pixel --side 32 --flip $network --batch "${BATCH:-256}" \
		--times logit-normal --steps "$steps" --checkpoint-every 60s --log-every 200 --validate 0 "$@" >/dev/null
}

# RUN NAME MODEL OPTIONS...: samples, Heun
generate() {
	local run=$1 name=$2 model=$3
	shift 3
	evenkeel generate "$run" --model "$model" --name "$name" --solver heun --steps "${SAMPLE_STEPS:-25}" \
		--batch 500 "$@" >/dev/null
}

seconds() {
	local start=$SECONDS
	"$@"
	echo "# $((SECONDS - start)) s: ${*:1:3}"
}

generator() {
	local run=$scratch/cifar
	network=${NETWORK:---width 256 --depth 10 --patch 2 --rate 8e-4} steps=${STEPS:-10000}
	seconds evenkeel audit "$@" -o "$run" --clusters "${CLUSTERS:-24}" --held-out 0.1 >/dev/null
	for condition in none cluster; do
		seconds train "$run" "by-$condition" --condition "$condition"
	done
	seconds generate "$run" plain by-none --count "$count"
	seconds generate "$run" natural by-cluster --count "$count" --guidance "${GUIDANCE:-1.5}"
	seconds generate "$run" sheet by-cluster --equal --count 240 --guidance "${SHEET_GUIDANCE:-2.5}"
	for set in plain natural; do
		seconds evenkeel evaluate "$run" --samples "$set" --target training >/dev/null
	done
	python3 "$here/real.py" measures "$run"
}

# One chain, in its own copy of the run: what the trainings of a seed make.
chain() {
	local run=$scratch/tail-$1 way
	[ -e "$run/copied" ] || { rm -rf "$run" && cp -r "$scratch/tail" "$run" && touch "$run/copied"; }
	for way in natural cluster group label; do
		local weights=(--weights "$way")
		[ "$way" != natural ] || weights=()
		train "$run" "$way" --seed "$1" "${weights[@]}"
		generate "$run" "$way" "$way" --seed "$1" --count "$count"
		evenkeel evaluate "$run" --samples "$way" --reference "$scratch/reference.tar" --target uniform >/dev/null
	done
}

tail_of() {
	local run=$scratch/tail way seed chains=()
	network=${NETWORK:---width 256 --depth 8 --patch 4 --rate 8e-4} steps=${STEPS:-2000}
	[ -e "$scratch/labels.csv" ] || python3 "$here/real.py" split "$scratch" "$@"
	evenkeel audit "$scratch/reference.tar" -o "$scratch/reference" --clusters 24 >/dev/null
	evenkeel audit "$scratch/natural.tar" -o "$run" --clusters 24 --labels "$scratch/labels.csv" >/dev/null
	for way in cluster group label; do
		[ -e "$run/weights/$way" ] ||
			evenkeel weights "$run" --by "$way" --scheme inverse --name "$way" >/dev/null
	done
	for seed in 0 1 2; do # a GPU has room for the three
		chain "$seed" &
		chains+=($!)
	done
	for seed in "${chains[@]}"; do wait "$seed"; done
	python3 "$here/real.py" classes "$scratch/reference" "$scratch"/tail-[012]
}

case $part in
generator) generator "$@" ;;
tail) tail_of "$@" ;;
*) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
