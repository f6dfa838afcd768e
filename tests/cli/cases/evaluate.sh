# shellcheck shell=bash
# No weight file is to be found outside the scratch folder.
export HOME=$PWD
# Generated images measured: real ones that nothing was trained on stand for them, whole and with planted faults.
make_images all 600 >/dev/null
mkdir -p images fresh
for file in all/*/*; do
	name=${file#all/}
	number=${name#*/}
	number=$((10#${number%.*}))
	to=images
	[ $number -lt 450 ] || to=fresh
	mkdir -p "$to/${name%/*}"
	mv "$file" "$to/$name"
done
evenkeel audit images -o 'a run' --encoder pixels --input-size 4 --clusters 3 --seeds 2 --held-out 0.2 --quiet >/dev/null
# Distances and intervals are the same everywhere to these digits; what comes from LAPACK and is nearly 0 is not.
evaluate() {
	run evenkeel evaluate 'a run' --quiet --subsets 10 "$@"
}
result() { # NAME MEMBER...: lines of the file that begin with these members
	local name=$1 member
	shift
	for member; do
		grep -E "^	*\"$member\":" "a run/evaluations/$name.json" | sed -E 's/(\.[0-9]{4})[0-9]+/\1/g'
	done
}

find fresh images all -type f -print0 | sort -z | xargs -0 sha256sum >before

echo '# nothing wrong: disc, bar and check at 60, 30 and 10 %'
evaluate --samples fresh --name whole

echo '# one cluster removed'
cp -r fresh without && rm -r without/check
evaluate --samples without --name without

echo '# one halved: half of its bars are gone'
cp -r fresh halved && rm halved/bar/*[13579]?.*
evaluate --samples halved --name halved

echo '# one replaced by copies of training images'
cp -r fresh copied && rm copied/check/*
grep '"check/' 'a run/images.jsonl' | grep -v '"held_out": true' | sed -E 's/.*"file_name": "([^"]*)".*/\1/' | head -n 15 |
	while read -r name; do cp "images/$name" copied/check; done
evaluate --samples copied --name copied
grep -c '"sample"' 'a run/evaluations/copied.json'

echo '# the same images from elsewhere: the same numbers'
tar --sort=name -cf 'fresh images.tar' fresh
find fresh -type f | LC_ALL=C sort >list.txt
make_arrays images fresh 'fresh images.npz'
for source in 'fresh images.tar' list.txt 'fresh images.npz'; do
	evenkeel evaluate 'a run' --samples "$source" --name again --quiet --subsets 10 >/dev/null
	diff <(grep -v -e '"name"' -e '"path"' 'a run/evaluations/whole.json') \
		<(grep -v -e '"name"' -e '"path"' 'a run/evaluations/again.json') && echo same
done

echo '# current, stale'
run evenkeel evaluate 'a run' --samples fresh --name whole --subsets 10 | tail -n 1
run evenkeel info 'a run/evaluations/whole.json' | sed -E 's/\([0-9.]+ kB\)/(SIZE)/; /frechet|xxh64|vendi |vendi_r|realism|peak_bytes|_ids|_shares/d'
evaluate --samples fresh --name whole --k 3 | grep coverage
evenkeel evaluate 'a run' --samples fresh --name whole --subsets 10 2>&1 >/dev/null | grep again

echo '# embeddings as they are, and what can be wrong with them'
for folder in 'a run'/cache/features/path-*; do
	[ "$(grep -c . "$folder/images.jsonl")" != 150 ] || embeddings=$folder/embeddings.npy
done
make_arrays head "$embeddings" 'own vectors.npy' 150
run evenkeel evaluate 'a run' --samples 'own vectors.npy' --name own --quiet | grep -E 'generated|worst'
make_arrays nan "$embeddings" nan.npy 7
run evenkeel evaluate 'a run' --samples nan.npy --name x
make_arrays narrow "$embeddings" narrow.npy
run evenkeel evaluate 'a run' --samples narrow.npy --name x
make_arrays head "$embeddings" few.npy 4
run evenkeel evaluate 'a run' --samples few.npy --name few --quiet
make_arrays repeat "$embeddings" one.npy 20
evenkeel evaluate 'a run' --samples one.npy --name one --quiet >/dev/null
result one recall
run evenkeel evaluate 'a run' --samples own --name own --encoder pixels --weights few.npy
run evenkeel evaluate 'a run' --samples 'own vectors.npy' --name x --encoder inception-fid

echo '# another reference'
run evenkeel evaluate 'a run' --samples without --reference fresh --name other --quiet | sed -n 1,2p
run evenkeel evaluate 'a run' --samples fresh --name whole --save-statistics 'of real ones.npz' --quiet >/dev/null
run evenkeel evaluate 'a run' --samples fresh --reference 'of real ones.npz' --name statistics --quiet
diff <(result whole frechet_distance | cut -c1-30) <(result statistics frechet_distance | cut -c1-30) && echo same
run evenkeel evaluate 'a run' --samples fresh --reference 'of real ones.npz' --statistics 'of real ones.npz' --name x
printf '0,0.2\n1,0.3\n2,0.5\n' >'wanted shares.csv'
for target in uniform training reference 'wanted shares.csv'; do
	evenkeel evaluate 'a run' --samples fresh --name t --target "$target" --quiet | tail -n 6 | head -n 4
done
run evenkeel evaluate 'a run' --samples fresh --name x --target nothing.csv
printf '0,2\n7,3\n' >unknown.csv
run evenkeel evaluate 'a run' --samples fresh --name x --target unknown.csv

echo '# no held-out images: told'
evenkeel audit images -o plain --encoder pixels --input-size 4 --clusters 3 --seeds 2 --quiet >/dev/null
run evenkeel evaluate plain --samples fresh --name x --quiet
grep -A 3 '"reasons": {$' plain/evaluations/x.json | tail -n 3

echo '# the samples of a run: seeds, who was asked for, what stands beside them'
evenkeel train flow 'a run' --space pixel --side 8 --patch 4 --width 16 --depth 1 --steps 6 --batch 8 --slice 2 \
	--precision f32 --condition cluster --quiet --name small >/dev/null
for seed in 0 1 2; do
	evenkeel generate 'a run' --model small --name "s$seed" --count 30 --cluster 0,1,2 --seed $seed --steps 2 \
		--precision f32 --quiet >/dev/null
done
run evenkeel evaluate 'a run' --samples s0 --quiet | grep generated
run ls 'a run/samples/s0'
run evenkeel evaluate 'a run' --samples s0,s1,s2 --name seeds --vendi-order 0.5,inf --quiet | grep -o -E '.*generated images|of each seed'
result seeds target samples asked vendi_orders inf
run evenkeel info 'a run/samples/s0/neighbours.npy' | sed -n 1,2p | sed 's/ (.*//'
rm 'a run/samples/s1/images/000007.png'
run evenkeel evaluate 'a run' --samples s1
run evenkeel evaluate 'a run' --samples s0,none --name x
run evenkeel evaluate 'a run' --samples s0,s0 --name x
run evenkeel evaluate 'a run' --samples s0,fresh --name x

echo '# nothing of yours is touched'
diff <(find fresh images all -type f -print0 | sort -z | xargs -0 sha256sum) before && echo same

echo '# mistakes'
run evenkeel evaluate
run evenkeel evaluate 'a run'
run evenkeel evaluate 'a run' --samples fresh/
run evenkeel evaluate 'a run' --samples nothing --name x
run evenkeel evaluate 'a run' --samples fresh --name x --encoder resnet
run evenkeel evaluate 'a run' --samples fresh --name x --weights few.npy
run evenkeel evaluate 'a run' --samples fresh --name x --vendi-order 1,x
run evenkeel evaluate 'a run' --samples images --reference nowhere --name x
mkdir empty one
run evenkeel evaluate 'a run' --samples empty --name x
printf 'file_name,age\nx.png,1\ny.png,2\n' >gone.csv
cp images/disc/00001.* one
evenkeel audit one -o 'run of one' --encoder pixels --input-size 4 --quiet >/dev/null
rm -r 'a run/cache'
for reference in gone.csv one 'run of one' 'run of one/embeddings.npy'; do
	run evenkeel evaluate 'a run' --samples fresh --reference "$reference" --name x
done
run evenkeel evaluate 'run of one' --samples fresh --name x
find "a run/cache" "run of one/cache" 2>/dev/null || echo "and nothing was embedded"
printf 'not a picture' >empty/a.png
run evenkeel evaluate 'a run' --samples empty --name x

echo '# your own embeddings: images cannot be embedded alike'
cp 'a run/embeddings.npy' mine.npy
evenkeel audit mine.npy -o mine --clusters 3 --seeds 2 --quiet >/dev/null
run evenkeel evaluate mine --samples fresh --name x --quiet
run evenkeel evaluate mine --samples 'own vectors.npy' --name x --quiet | sed -n 1,2p
