#!/usr/bin/env bash
# A generator of CIFAR-10, in the latents of an autoencoder, and what weights do for one of the same photographs made
# long-tailed.
#
#	real.sh generator SCRATCH TAR...    one told nothing and one told the cluster: measures of 5,000 images each, a sheet
#	real.sh evaluations SCRATCH TAR...  the latter, COUNT images by 250 evaluations of each, and by 50 and fewer
#	real.sh tail SCRATCH TAR...         natural, cluster-, group- and label-weighted, three trainings each: coverage by class
#
# TAR...: CIFAR-10 as tars of CLASS/NAME.jpg. Stopped or killed, the same command goes on where it was. EVENKEEL is the
# program (build/evenkeel unless set); DEVICE, STEPS, VAE_STEPS, COUNT, SAMPLE_STEPS, VAE and NETWORK change what is
# below, WAYS which weights are tried, REFERENCE what `evaluations` measures against (the first TAR).
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

# RUN: its autoencoder, 32 x 32 pixels to 8 x 8 x 8
autoencoder() {
	# shellcheck disable=SC2086 # VAE is a list of options
	evenkeel train vae "$1" --name kl --side 32 ${VAE:---widths 32,64,128} --latent-channels 8 --groups 8 --flip \
		--perceptual 0.1 --rate 2e-3 --batch "${BATCH:-128}" --steps "${VAE_STEPS:-3000}" --validate 0.02 >/dev/null
}

# RUN NAME OPTIONS...: a generator in its latents
train() {
	local run=$1 name=$2
	shift 2
	# shellcheck disable=SC2086 # NETWORK is a list of options
	evenkeel train flow "$run" --name "$name" --autoencoder kl --patch 1 $network --rate 8e-4 \
		--batch "${BATCH:-256}" --times logit-normal --steps "$steps" --checkpoint-every 60s --log-every 200 \
		--validate 0.02 "$@" >/dev/null
}

# RUN NAME MODEL OPTIONS...: samples, by two evaluations a step
generate() {
	local run=$1 name=$2 model=$3
	shift 3
	evenkeel generate "$run" --model "$model" --name "$name" --solver heun --steps "${SAMPLE_STEPS:-25}" \
		--batch 500 "$@" >/dev/null
}

seconds() {
	local start=$SECONDS
	"$@"
	echo "# $((SECONDS - start)) s: ${*:1:3}" >&2
}

generator() {
	local run=$scratch/cifar steps=${STEPS:-5000}
	network=${NETWORK:---width 384 --depth 8}
	seconds evenkeel audit "$@" -o "$run" --clusters "${CLUSTERS:-24}" --held-out 0.1 >/dev/null
	seconds autoencoder "$run"
	seconds train "$run" by-cluster --condition cluster
	seconds generate "$run" sheet by-cluster --equal --count 240 --guidance 2.5
	seconds generate "$run" by-cluster by-cluster --count "$count" --guidance 1.5
	seconds evenkeel evaluate "$run" --samples by-cluster --target training >/dev/null
	steps=${PLAIN_STEPS:-$steps}
	seconds train "$run" plain
	seconds generate "$run" plain plain --count "$count"
	seconds evenkeel evaluate "$run" --samples plain --target training >/dev/null
	python3 "$here/real.py" measures "$run"
}

evaluations() {
	local run=$scratch/cifar steps=${STEPS:-10000} how guidance solver number name
	network=${NETWORK:---width 384 --depth 8}
	evenkeel audit "$@" -o "$run" --clusters "${CLUSTERS:-24}" --held-out 0.1 >/dev/null
	seconds autoencoder "$run"
	seconds train "$run" by-cluster --condition cluster
	for guidance in 1 1.5; do
		for how in "euler 250" "euler 50" "heun 25" "heun 20"; do
			read -r solver number <<<"$how"
			name=$solver-$number-$guidance
			seconds evenkeel generate "$run" --model by-cluster --name "$name" --solver "$solver" --steps "$number" \
				--count "$count" --guidance "$guidance" >/dev/null
			seconds evenkeel evaluate "$run" --samples "$name" --reference "${REFERENCE:-$1}" --resamples 200 >/dev/null
		done
	done
	python3 "$here/real.py" measures "$run"
}

# One chain, in its own copy of the run: what the trainings of a seed make.
chain() {
	local run=$scratch/tail-$1 way
	[ -e "$run/copied" ] || { rm -rf "$run" && cp -r "$scratch/tail" "$run" && touch "$run/copied"; }
	for way in $ways; do
		local weights=(--weights "$way")
		[ "$way" != natural ] || weights=()
		train "$run" "$way" --seed "$1" "${weights[@]}"
		generate "$run" "$way" "$way" --seed "$1" --count "$count"
		evenkeel scan "$run/samples/$way/images" -o "$run-$way" >/dev/null
		evenkeel embed "$run-$way" >/dev/null
	done
}

tail_of() {
	local run=$scratch/tail steps=${STEPS:-1000} ways=${WAYS:-natural cluster label group} way seed chains=()
	network=${NETWORK:---width 256 --depth 8}
	[ -e "$scratch/labels.csv" ] || python3 "$here/real.py" split "$scratch" "$@"
	evenkeel audit "$scratch/reference.tar" -o "$scratch/reference" --clusters 24 >/dev/null
	evenkeel audit "$scratch/natural.tar" -o "$run" --clusters 24 --labels "$scratch/labels.csv" >/dev/null
	for way in cluster group label; do
		[ -e "$run/weights/$way" ] ||
			evenkeel weights "$run" --by "$way" --scheme inverse --name "$way" >/dev/null
	done
	autoencoder "$run"
	for seed in 0 1 2; do # a GPU has room for the three
		chain "$seed" &
		chains+=($!)
	done
	for seed in "${chains[@]}"; do wait "$seed"; done
	python3 "$here/real.py" classes "$scratch/reference" "$scratch"/tail-[012]
}

case $part in
generator) generator "$@" ;;
evaluations) evaluations "$@" ;;
tail) tail_of "$@" ;;
*) sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
