#!/usr/bin/env bash
# pruning.sh EVENKEEL WORK SECONDS DATASET…: the paper's first question on real data: does pruning by simple clustering
# beat the costly scores? One subset, training, sample set and evaluation for every method, kept fraction and seed, all
# of the same number of steps. Ends after SECONDS at a point that it goes on from: call it again until it says "done".
# Then: pruning.py WORK/done
#
# What is finished is in WORK/done (a few MB): with that folder alone it goes on on another machine. The environment
# sets what is below.
set -euo pipefail
evenkeel=$1 work=$2 seconds=$3
shift 3
: "${DEVICE:=auto}" "${HELD_OUT:=0.1}" "${CLUSTERS:=24}" "${ENCODER:=efficientnet-lite0}"
: "${NETWORK:=--side 32 --patch 4 --width 256 --depth 8 --batch 256}" "${STEPS:=2000}" "${SAMPLES:=5000}" "${SETS:=1}"
: "${SAMPLING:=--steps 50 --batch 512}" "${EVALUATION:=}"
: "${METHODS:=furthest nearest middle random-within random}" "${SCORES:=grand el2n moso forgetting}" "${ENDS:=high low}"
: "${KEEPS:=0.1 0.25 0.5 0.75}" "${SEEDS:=1}" "${AGAIN_KEEPS:=0.25 0.5}" "${AGAIN_SEEDS:=1}"
: "${SCORER_STEPS:=500}" "${SCORER_CHECKS:=20}" "${DRAWS:=8}" "${SHARDS:=4}" "${SURROGATE_STEPS:=500}" "${CHECKPOINTS:=5}"
run=$work/run done=$work/done end=$((SECONDS + seconds))
mkdir -p "$done"

collect() {
	local point
	for point in "$run"/evaluations/s[0-9]*.json; do [ ! -e "$point" ] || cp "$point" "$done/"; done
}

# The program, until the time is up; what it was at it goes on with the next time.
timed() {
	local left=$((end - SECONDS)) rc=0
	if ((left <= 1)); then rc=130; else timeout --foreground -s INT -k 60 "$left" "$evenkeel" "$@" || rc=$?; fi
	if ((rc == 124 || rc == 130 || rc == 137)); then
		collect
		echo "time is up: $(find "$done" -name 's*.json' | wc -l) points are done; the same command goes on"
		exit 0
	fi
	((rc == 0)) || { echo "pruning.sh: evenkeel $1 failed ($rc)" >&2; exit 1; }
}

# Split on purpose: options and names.
# shellcheck disable=SC2206
network=($NETWORK) sampling=($SAMPLING) scores=($SCORES) ends=($ENDS)
if [ ! -e "$run/audit.json" ]; then
	timed audit "$@" -o "$run" --held-out "$HELD_OUT" --clusters "$CLUSTERS" --encoder "$ENCODER" --device "$DEVICE" --quiet --json >/dev/null
fi
cp "$run/audit.json" "$done/audit"

# Scores: a file that an earlier machine made is taken as it is.
mkdir -p "$run/scores"
for score in "${scores[@]}"; do
	if [ -e "$done/$score.npy" ]; then
		[ -e "$run/scores/$score.npy" ] || cp "$done/$score.npy" "$run/scores/"
		continue
	fi
	options=()
	case $score in
	moso*) options=(--shards "$SHARDS" --steps "$SURROGATE_STEPS" --checkpoints "$CHECKPOINTS") ;;
	esac
	case $score in forgetting*) ;; *) options+=(--draws "$DRAWS") ;; esac
	timed train flow "$run" --name scorer --space pixel "${network[@]}" --steps "$SCORER_STEPS" --validate 0 \
		--log-losses "$((SCORER_STEPS / SCORER_CHECKS))" --draws "$DRAWS" --device "$DEVICE" --quiet >/dev/null
	started=$SECONDS
	timed score "$run" --method "$score" --model scorer "${options[@]}" --name "$score" --device "$DEVICE" --quiet --json >/dev/null
	echo "score $score: $((SECONDS - started)) s"
	cp "$run/scores/$score.npy" "$done/"
done

methods="$METHODS"
for score in "${scores[@]}"; do
	for order in "${ends[@]}"; do methods+=" score:$score:$order"; done
done

# The points of a seed: one sweep a method, of the fractions that are not there. The first also makes that of all images.
points() {
	local seed=$1 keeps=$2 method keep left
	for method in $methods; do
		left=
		for keep in $keeps; do
			[ -e "$done/s$seed-${method//:/-}-$keep.json" ] || left+=${left:+,}$keep
		done
		[ -n "$left" ] || continue
		timed sweep "$run" --name "s$seed" --seed "$seed" --methods "$method" --keeps "$left" --space pixel --steps "$STEPS" \
			--seeds "$SETS" --count "$SAMPLES" --train "${network[*]} --validate 0" --generate "${sampling[*]}" \
			--evaluate "$EVALUATION" --device "$DEVICE" --quiet
		collect
		# Of the others nothing is needed any more.
		find "$run/models" "$run/samples" -path "*/s$seed-*" ! -path "*/s$seed-natural*" \
			\( -name 'step-*.safetensors' -o -name 'preview-*.png' -o -name '*.png' \) -delete
	done
}

for ((seed = 0; seed < SEEDS; seed++)); do points "$seed" "$KEEPS"; done
for ((seed = SEEDS; seed < SEEDS + AGAIN_SEEDS; seed++)); do points "$seed" "$AGAIN_KEEPS"; done
echo "done: $(find "$done" -name 's*.json' | wc -l) points"
