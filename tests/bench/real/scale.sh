#!/usr/bin/env bash
# The rates behind docs/scale.md, on the machine at hand: a line of seconds for each step.
#
#	scale.sh SCRATCH PHOTOS.tar [PHOTOS [ROWS]]    6,000 photos, 400,000 rows of 768 unless told
#
# Photographs are repeated, weights and embeddings are random. EVENKEEL is the program (build/evenkeel unless set); DEVICE
# is --device. Needs Python with NumPy and PyTorch.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
program=${EVENKEEL:-$here/../../../build/evenkeel}
scratch=$1 device=${DEVICE:-auto}
mkdir -p "$scratch"
python3 "$here/scale.py" photos "$scratch/photos.tar" "${3:-6000}" "$2"
python3 "$here/scale.py" weights "$scratch/weights.pth"
python3 "$here/scale.py" embeddings "$scratch/embeddings.npy" "${4:-400000}" 768
"$program" scan "$scratch/photos.tar" -o "$scratch/photos" --quiet >/dev/null
"$program" embed "$scratch/photos" --encoder dinov2-vitb14 --weights "$scratch/weights.pth" --device "$device" --quiet \
	>/dev/null
echo "${3:-6000} photographs, ViT-B/14: $(python3 "$here/scale.py" steps "$scratch/photos")"
"$program" audit "$scratch/embeddings.npy" -o "$scratch/rows" --clusters "${CLUSTERS:-1000}" --device "$device" --quiet \
	>/dev/null
echo "${4:-400000} x 768: $(python3 "$here/scale.py" steps "$scratch/rows")"
