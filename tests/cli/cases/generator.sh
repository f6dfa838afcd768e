# shellcheck shell=bash
# Training and sampling, and what can be said wrong about them.
make_images images 60 >/dev/null
evenkeel audit images -o run --encoder pixels --clusters 3 --seeds 2 --quiet >/dev/null
# Losses depend on the processor's products; that they are the same again does not.
train() {
	run evenkeel train flow run --space pixel --side 8 --patch 4 --width 16 --depth 1 --steps 6 --batch 8 --slice 2 \
		--precision f32 --validate 0.1 --log-every 2 --quiet "$@" | sed -E 's/^(trained .* in ).*/\1TIME/; s/(loss +)[0-9.e-]+/\1LOSS/'
}
train --name plain
run ls run/models/plain
run evenkeel generate run --model plain --name a --count 5 --steps 3 --precision f32 --quiet
run ls run/samples/a run/samples/a/images

echo '# every file of them is known to info'
for file in run/models/plain run/models/plain/* run/samples/a run/samples/a/* run/samples/a/images/000000.png; do
	evenkeel info "$file" 2>&1 | sed -E -n -e 's/ \([0-9.]+ (bytes|kB|MB)\)$//' -e 's/; .*//' -e 1p
done
echo '# one thread and two: the same model'
train --name one --threads 1 >/dev/null
train --name two --threads 2 >/dev/null
for model in one two; do
	evenkeel generate run --model $model --name $model --count 2 --steps 2 --precision f32 --quiet >/dev/null
done
cmp run/samples/one/images/000001.png run/samples/two/images/000001.png && echo same

echo '# conditions'
train --name by-cluster --condition cluster
run evenkeel generate run --model by-cluster --name even --cluster 0,2 --count 4 --steps 2 --guidance 2 --quiet
run head -n 3 run/samples/even/samples.jsonl
printf '0,0.5\n1,0.5\n2,0\n' >shares.csv
run evenkeel generate run --model by-cluster --name shares --shares shares.csv --count 6 --steps 2 --quiet
run evenkeel generate run --model by-cluster --name shares --shares shares.csv --count 8 --steps 2 --quiet

echo '# a sample is the same whatever is made beside it'
run evenkeel generate run --model plain --name b --count 3 --steps 3 --precision f32 --batch 16 --quiet >/dev/null
for i in 0 1 2; do cmp "run/samples/a/images/00000$i.png" "run/samples/b/images/00000$i.png" && echo same; done

echo '# the same of a class, whatever is made of it and of others'
nth_of_class() { # NAME: class, number within it, and the image's hash, a line each
	sed -E 's/.*"images\/([^"]*)".*"cluster": "([0-9]+)".*/\2 \1/' "run/samples/$1/samples.jsonl" |
		while read -r class image; do
			number=$((${seen[class]:-0} + 1)) seen[class]=$number
			echo "$class $number $(md5sum <"run/samples/$1/images/$image")"
		done | LC_ALL=C sort
}
for solver in euler dopri5; do
	for count in 7 20; do
		declare -a seen=()
		evenkeel generate run --model by-cluster --name n --count $count --steps 2 --solver $solver --batch 4 --quiet \
			--force >/dev/null
		nth_of_class n >"of-$count"
	done
	LC_ALL=C join -j 1 <(sed 's/ /-/' of-7) <(sed 's/ /-/' of-20) | awk '{ n += $2 == $4 } END { print n " of " NR " are the same" }'
done

echo '# made anew: another set is made beside the old one, which is there until it is whole'
run evenkeel generate run --model plain --name anew --count 12 --steps 2 --latents --quiet >/dev/null
run evenkeel generate run --model plain --name other --count 7 --steps 2 --seed 7 --latents --quiet >/dev/null
ls -R run/samples/anew >before
run evenkeel generate run --model plain --name anew --count 7 --steps 2 --seed 7 --latents
# As a command with --force leaves it that was killed behind its third image.
cp -r run/samples/other run/samples/.anew.new
rm run/samples/.anew.new/{samples.jsonl,sheet.png,latents.npy} run/samples/.anew.new/images/00000[3-6].png
ls -R run/samples/anew | diff before - && echo same
run evenkeel evaluate run --samples anew --quiet | grep -o '12 generated images'
run evenkeel info run/samples/.anew.new
run evenkeel generate run --model plain --name anew --count 8 --steps 2 --seed 7
run evenkeel generate run --model plain --name anew --count 7 --steps 2 --seed 7 --latents --quiet
for file in images samples.jsonl sheet.png latents.npy config.json; do
	diff -r "run/samples/other/$file" "run/samples/anew/$file" && echo same
done
run ls -A run/samples/anew run/samples
run evenkeel evaluate run --samples anew --quiet | grep -o '7 generated images'

echo '# fewer, and other latents, by force; what is yours stays'
run evenkeel generate run --model plain --name anew --count 3 --steps 2 --latents --force --quiet
run ls run/samples/anew/images
cmp -s run/samples/other/latents.npy run/samples/anew/latents.npy || echo 'other latents'
run evenkeel evaluate run --samples anew --quiet | grep -o '3 generated images'
cp -r run/samples/other run/samples/.anew.new
rm run/samples/.anew.new/config.json
run evenkeel generate run --model plain --name anew --count 3 --steps 2 --latents --quiet >/dev/null
run ls -A run/samples
cp -r run/samples/other run/samples/.begun.new
rm run/samples/.begun.new/sheet.png
run evenkeel evaluate run --samples begun
run evenkeel generate run --model plain --name begun --count 2 --steps 2
run evenkeel generate run --model plain --name begun --count 2 --steps 2 --force --quiet
echo mine >run/samples/begun/notes.txt
run evenkeel generate run --model plain --name begun --count 1 --steps 2 --force --quiet
mkdir moved && mv run/samples/begun/notes.txt moved/ && echo mine >run/samples/begun/images/000001-marked.png
run evenkeel generate run --model plain --name begun --count 1 --steps 2 --force --quiet
run cat run/samples/begun/images/000001-marked.png

echo '# the help of each command is whole'
for words in 'train vae' 'train flow' generate; do
	# shellcheck disable=SC2086
	evenkeel help $words >help && grep -m 1 -o -e '--name [A-Z]*' help
done

echo '# mistakes'
run evenkeel train
run evenkeel train flow run
run evenkeel train flow run --name x
run evenkeel train flow run --name x --space pixel --side 9 --patch 4
run evenkeel train flow run --name x --space pixel --condition gender
run evenkeel train flow run --name x --space pixel --condition group
run evenkeel train flow run --name x --space pixel --subset none
run evenkeel train flow run --name x --space pixel --steps 1 --epochs 1
run evenkeel train flow run --name x --space pixel --time-limit soon
run evenkeel train flow run --name x --space pixel --batch 10 --slice 3
run evenkeel train flow run --name x --space pixel --model SiT-Q/2
run evenkeel train flow run --name ../x --space pixel
run evenkeel train flow run --name plain --space pixel --side 8 --patch 4 --width 24 --steps 6
run evenkeel train flow run --name x --autoencoder nothing
run evenkeel generate run --name x
run evenkeel generate run --model none --name x
run evenkeel generate run --model plain --name x --cluster 1
run evenkeel generate run --model plain --name x --guidance 3
run evenkeel generate run --model plain --name x --solver ancestral
run evenkeel generate run --model by-cluster --name x --cluster 7
run evenkeel generate run --model by-cluster --name x --guidance-interval 0.8,0.2 --guidance 2
run evenkeel generate run --model by-cluster --name x --cluster 1 --minority
run evenkeel generate run --model by-cluster --name equal --equal --count 4 --steps 2 --quiet

echo '# an autoencoder, and a generator in its latents'
for kind in kl vq; do
	codes=(); [ $kind = kl ] || codes=(--codes 16)
	run evenkeel train vae run --name $kind --kind $kind --side 16 --widths 8,16 --groups 4 "${codes[@]}" --steps 3 --batch 4 \
		--precision f32 --quiet | sed -E 's/^(trained .* in ).*/\1TIME/; s/(loss +)[0-9.e-]+/\1LOSS/'
	run ls run/models/$kind
	evenkeel train flow run --name in-$kind --autoencoder $kind --width 16 --depth 1 --patch 2 --steps 3 --batch 4 --quiet >/dev/null
	run evenkeel generate run --model in-$kind --name $kind --count 2 --steps 2 --latents --quiet
	run ls run/samples/$kind
done
run evenkeel train vae run --name x --widths 8,
run evenkeel train vae run --name x --side 17 --widths 8,16 --groups 4
run evenkeel train vae run --name x --widths 12 --groups 8
run evenkeel generate run --model kl --name x
run evenkeel train flow run --name x --autoencoder kl --patch 3

echo '# what is stale by what'
stale() { evenkeel info "$@" | grep -E '^ *(current|stale)' || echo "nothing is said"; }
evenkeel evaluate run --samples equal --subsets 2 --subset-size 2 --quiet >/dev/null 2>&1
run stale run/evaluations/equal.json
echo '# a model that was trained on'
evenkeel train flow run --space pixel --side 8 --patch 4 --width 16 --depth 1 --steps 8 --batch 8 --slice 2 --precision f32 \
	--validate 0.1 --log-every 2 --name by-cluster --condition cluster --quiet >/dev/null
run stale run/models/by-cluster/config.json
run stale run/samples/equal/config.json
run stale run/evaluations/equal.json
echo '# an autoencoder that was trained on'
evenkeel train vae run --name kl --kind kl --side 16 --widths 8,16 --groups 4 --steps 5 --batch 4 --precision f32 \
	--quiet >/dev/null
run stale run/models/kl/latents.npy
run stale run/models/in-kl
run stale run/samples/kl/sheet.png
echo '# other clusters'
evenkeel cluster run --clusters 4 --quiet >/dev/null
run stale run/models/by-cluster
run stale run/evaluations/equal.json
