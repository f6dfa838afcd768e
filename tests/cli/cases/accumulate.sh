# shellcheck shell=bash
# Batches in parts: what cuts a batch changes memory, and sums by rounding alone; a training goes on in other parts.
make_images images 40 >/dev/null
evenkeel audit images -o run --encoder pixels --clusters 3 --seeds 2 --quiet >/dev/null
network=(--space pixel --side 16 --patch 2 --width 16 --depth 1 --precision f32 --schedule constant --quiet)
learn() { # NAME BATCH STEPS OPTIONS…
	run evenkeel train flow run --name "$1" --batch "$2" --steps "$3" "${network[@]}" "${@:4}" |
		sed -E -e 's/^(trained .* in ).*/\1TIME/' -e '/^(training|reading images) /d'
}
# shellcheck disable=SC2154 # run-case sets it
same() {
	python3 "$(dirname "$script")/../same_tensors.py" "$(ls run/models/"$1"/step-*)" "$(ls run/models/"$2"/step-*)"
}

echo '# slices that fit into the parts stay as they are: the same bits'
learn whole 64 3 >/dev/null
grep -h '"slice"' run/models/whole/config.json
learn parts 64 3 --accumulate 4 >/dev/null
same whole parts

echo '# smaller ones: the same slices by either name'
learn few 64 3 --accumulate 64 >/dev/null
learn slices 64 3 --slice 1 >/dev/null
same few slices

echo '# gone on with in other slices'
learn slices 64 4 --accumulate 2

echo '# what does not go together'
learn x 64 3 --accumulate 3
learn x 64 3 --accumulate 2 --slice 4
learn x 64 3 --accumulate 0
