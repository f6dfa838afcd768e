#!/usr/bin/env bash
# pruning.sh EVENKEEL WORK SECONDS DATASET…: the paper's first question on real data: does pruning by simple clustering
# beat the costly scores? One subset, training, sample set and evaluation for every method, kept fraction and seed, all
# of the same number of steps. Ends after SECONDS at a point that it goes on from: call it again until it says "done".
# Then: pruning.py WORK/done
#
# What is finished is in WORK/done (a few MB: autoencoder, scores, evaluations): with that folder alone it goes on on
# another machine. LANES points are worked on side by side. Of several machines or GPUs each takes a PART, as 0/2 and
# 1/2, with a WORK of its own; their done folders are merged by copying. No point is begun with less than LEAST seconds
# left. The environment also sets what is below.
set -euo pipefail
evenkeel=$1 work=$2 seconds=$3
shift 3
: "${DEVICE:=auto}" "${LANES:=1}" "${PART:=0/1}" "${LEAST:=2}" "${HELD_OUT:=0.2}" "${CLUSTERS:=24}" "${ENCODER:=efficientnet-lite0}"
: "${AUTOENCODER:=--side 32 --widths 32,64,128 --latent-channels 8 --groups 8 --flip --perceptual 0.1 --rate 2e-3}"
: "${AUTOENCODER_STEPS:=2500}" "${NETWORK:=--width 384 --depth 8 --patch 2 --times logit-normal}"
: "${LEARNING:=--batch 512 --rate 1e-3}" "${STEPS:=1400}" "${SCORER_LEARNING:=--batch 256 --rate 8e-4}"
: "${SAMPLES:=5000}" "${SAMPLING:=--solver heun --steps 25 --batch 500}"
: "${EVALUATION:=--resamples 100 --subsets 10}"
: "${METHODS:=furthest nearest middle random-within random}" "${SCORES:=el2n grand forgetting moso}" "${ENDS:=high low}"
: "${KEEPS:=0.25 0.5 0.1 0.75}" "${SEEDS:=1}" "${AGAIN_KEEPS:=0.25 0.5}" "${AGAIN_SEEDS:=1}"
: "${SCORER_STEPS:=500}" "${SCORER_CHECKS:=20}" "${DRAWS:=4}" "${SHARDS:=4}" "${SURROGATE_STEPS:=500}" "${CHECKPOINTS:=3}"
run=$work/run done=$work/done end=$((SECONDS + seconds)) time_up=3
# Split on purpose: options and names.
# shellcheck disable=SC2206
autoencoder=($AUTOENCODER) network=($NETWORK) learning=($LEARNING) scorer_learning=($SCORER_LEARNING)
# shellcheck disable=SC2206
sampling=($SAMPLING) evaluation=($EVALUATION) scores=($SCORES)
threads=$((($(nproc) + LANES - 1) / LANES))
mkdir -p "$done"

# The program, until the time is up; what it was at it goes on with the next time.
timed() {
	local left=$((end - SECONDS)) rc=0
	((left > 1)) || exit "$time_up"
	timeout -k 10 "$left" "$evenkeel" "$@" --device "$DEVICE" --quiet >/dev/null || rc=$?
	case $rc in
	0) ;;
	124 | 130 | 137 | 143) exit "$time_up" ;;
	*) echo "pruning.sh: evenkeel $* failed ($rc)" >&2; exit 1 ;;
	esac
}

took() {
	echo "$1: $((SECONDS - $2)) s"
}

# What all points share. An autoencoder or a score that an earlier machine made is taken as it is.
share() {
	local started=$SECONDS score
	timed scan "$@" -o "$run" --held-out "$HELD_OUT"
	timed embed "$run" --encoder "$ENCODER"
	timed cluster "$run" --clusters "$CLUSTERS"
	took clusters "$started"
	if [ ! -e "$done/autoencoder" ]; then learn_to_encode; fi
	for score in "${scores[@]}"; do
		if [ ! -e "$done/$score.npy" ]; then score "$score"; fi
	done
	rm -rf "$run/models" "$run/cache/scores"
}

learn_to_encode() {
	local started=$SECONDS model=$run/models/autoencoder
	timed train vae "$run" --name autoencoder "${autoencoder[@]}" --steps "$AUTOENCODER_STEPS"
	mkdir -p "$done/autoencoder.new"
	cp "$model/config.json" "$model/diffusion_pytorch_model.safetensors" "$done/autoencoder.new"
	mv "$done/autoencoder.new" "$done/autoencoder"
	took autoencoder "$started"
}

train() {
	local in=$1
	shift
	timed train flow "$in" --autoencoder "$done/autoencoder" "${network[@]}" --validate 0 "$@"
}

score() {
	local started=$SECONDS options=()
	train "$run" --name scorer "${scorer_learning[@]}" --steps "$SCORER_STEPS" --draws "$DRAWS" \
		--log-losses "$((SCORER_STEPS / SCORER_CHECKS))"
	took "scorer for $1" "$started"
	case $1 in moso*) options+=(--shards "$SHARDS" --steps "$SURROGATE_STEPS" --checkpoints "$CHECKPOINTS") ;; esac
	case $1 in forgetting*) ;; *) options+=(--draws "$DRAWS") ;; esac
	timed score "$run" --method "$1" --model scorer "${options[@]}" --name "$1"
	cp "$run/scores/$1.npy" "$done/$1.npy.new"
	mv "$done/$1.npy.new" "$done/$1.npy"
	took "score $1" "$started"
}

# SEED METHOD KEEP a line: all points, in one order.
points() {
	local seed keep method score order methods=$METHODS
	for score in "${scores[@]}"; do
		for order in $ENDS; do methods+=" score:$score:$order"; done
	done
	for ((seed = 0; seed < SEEDS + AGAIN_SEEDS; seed++)); do
		echo "$seed natural 1"
		for keep in $(if ((seed < SEEDS)); then echo "$KEEPS"; else echo "$AGAIN_KEEPS"; fi); do
			for method in $methods; do echo "$seed $method $keep"; done
		done
	done
}

prune() {
	local in=$1 name=$2 seed=$3 method=$4 keep=$5 how
	IFS=: read -r -a how <<<"$method"
	case $method in
	score:*) how=(--method score --scores "$done/${how[1]}.npy" --order "${how[2]}") ;;
	*) how=(--method "$method") ;;
	esac
	timed prune "$in" --name "$name" "${how[@]}" --keep "$keep" --seed "$seed"
}

point() {
	local in=$1 seed=$2 method=$3 keep=$4 name subset=() started=$SECONDS trained generated
	name=s$seed-${method//:/-}-$keep
	[ "$method" != natural ] || name=s$seed-natural
	if [ -e "$done/$name.json" ]; then return 0; fi
	if ((end - SECONDS < LEAST)); then exit "$time_up"; fi
	if [ "$method" != natural ]; then
		prune "$in" "$name" "$seed" "$method" "$keep"
		subset=(--subset "$name")
	fi
	train "$in" --name "$name" "${subset[@]}" "${learning[@]}" --steps "$STEPS" --seed "$seed" --threads "$threads"
	trained=$SECONDS
	timed generate "$in" --model "$name" --name "$name" --count "$SAMPLES" "${sampling[@]}" --seed "$seed" --threads "$threads"
	generated=$SECONDS
	timed evaluate "$in" --samples "$name" "${evaluation[@]}" --threads "$threads"
	cp "$in/evaluations/$name.json" "$done/$name.new"
	mv "$done/$name.new" "$done/$name.json"
	echo "$name: $((trained - started)) + $((generated - trained)) + $((SECONDS - generated)) s"
	rm -rf "$in/models/$name" "$in/samples/$name" "$in/subsets/$name"*
}

# Its own copy of the run, and every so many-th point; one that fails is told, and the others go on.
lane() {
	local in=$work/lane-$1 i=-1 turn=$((${PART%/*} + $1 * ${PART#*/})) turns=$((${PART#*/} * LANES))
	local seed method keep rc failed=0
	if [ ! -e "$in" ]; then
		rm -rf "$in.new"
		cp -r "$run" "$in.new"
		mv "$in.new" "$in"
	fi
	while read -r seed method keep; do
		((++i % turns == turn)) || continue
		set +e
		(
			set -e
			point "$in" "$seed" "$method" "$keep"
		)
		rc=$?
		set -e
		((rc != time_up)) || exit "$rc"
		((rc == 0)) || failed=1
	done < <(points)
	exit "$failed"
}

finish() {
	case $1 in
	0) echo "done: $(find "$done" -name 's*.json' | wc -l) points" ;;
	"$time_up") echo "time is up: $(find "$done" -name 's*.json' | wc -l) points are done; the same command goes on" ;;
	*) echo "pruning.sh: not all went well; the same command tries again" >&2; exit 1 ;;
	esac
	exit 0
}

rc=0 lanes=()
set +e
(
	set -e
	share "$@"
)
rc=$?
set -e
((rc == 0)) || finish "$rc"
for ((n = 0; n < LANES; n++)); do
	lane "$n" &
	lanes+=($!)
done
for n in "${lanes[@]}"; do wait "$n" || rc=$((rc == 1 ? 1 : $?)); done
finish "$rc"
