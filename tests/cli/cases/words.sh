# shellcheck shell=bash
# Groups that words describe, by a text tower as small as can be with random weights and embeddings of its kind.
make_clip clip.safetensors own.npy 0.2 "100=a photo of a dog." "40=a photo of a cat." "10=a horse" "30=quarterly results"
echo '{"hidden_act": "gelu"}' >config.json
printf '# pets\r\ndog: a photo of a dog.; a picture of a {}\ncat\n\n horse :a horse\nnone of these: quarterly results' >pets.txt
run evenkeel audit own.npy -o RUN --clusters 4 --group-words pets.txt --text-weights clip.safetensors --quiet
grep -A 4 '"words"' RUN/clusters/groups.json
grep -A 3 '"none"' RUN/clusters/groups.json
grep -o '"prompts":.*' RUN/clusters/groups.json
grep -o 'CLIP takes.*All shares' RUN/report.html | sed 's/<[^>]*>//g'
grep -o 'By words.*none of these' RUN/report.html | sed 's/<[^>]*>//g'
run evenkeel info RUN/clusters/groups.json
# Plans go by them; images of none are in no such plan.
run evenkeel balance RUN --to smallest --name even --quiet
run evenkeel weights RUN --scheme inverse --name fair --quiet
grep -o '"without_value":.*' RUN/weights/fair/weights.json
# Current until the words, the weights or what is asked change; the same bytes for any number of threads.
cp RUN/clusters/membership.npy before.npy
run evenkeel cluster RUN --threads 3 --force --quiet >/dev/null
cmp RUN/clusters/membership.npy before.npy && echo "the same for any threads"
evenkeel cluster RUN 2>&1 | grep -i groups
sed -i 's/^cat$/cat: a photo of a cat./' pets.txt
evenkeel cluster RUN 2>&1 | grep -i 'groups\|stale'
printf '{"hidden_act": "quick_gelu"}' >config.json
sed 's/^dog.*/dog/' pets.txt >dogs.txt
run evenkeel audit RUN --group-words dogs.txt --quiet
# With labels by the same names: calibrated, and intervals where they are of images drawn at random.
awk 'function kind(i) {
		return i < 40 ? i % 4 : i < 100 ? substr("013", (i - 40) % 3 + 1, 1) : i < 120 ? i % 2 : 0
	}
	BEGIN {
		split("dog,cat,horse,none of these", names, ",")
		print "id,label,random"
		for (i = 0; i < 180; i += 7) print i "," names[kind(i) + 1] ",1"
	}' >labels.csv
run evenkeel cluster RUN --group-words pets.txt --labels labels.csv --quiet
grep -o '"calibrated_by":.*' RUN/clusters/groups.json
printf 'id,label\n0,dog\n1,cow\n' >labels.csv
run evenkeel cluster RUN --quiet
# Either takes the place of the other; together words name what is found.
run evenkeel cluster RUN --groups 5 --quiet >/dev/null
ls RUN/clusters/words.npy
run evenkeel audit RUN --groups 5 --group-words pets.txt --quiet
grep -A 3 '"named_with"' RUN/clusters/groups.json | sed 's/[0-9a-f]\{16\}/HASH/'
run evenkeel info RUN/clusters/words.npy
run evenkeel balance RUN --to smallest --name found --quiet | grep mostly
run evenkeel audit RUN --group-words pets.txt --quiet >/dev/null
ls RUN/clusters/words.npy
# What cannot be.
make_images photos 12
run evenkeel audit photos -o FACES --encoder pixels --clusters 2 --quiet --json >/dev/null
run evenkeel cluster FACES --group-words pets.txt --quiet
run evenkeel audit own.npy -o OTHER --group-words pets.txt --quiet
make_arrays narrow own.npy narrow.npy
run evenkeel audit narrow.npy -o OTHER --clusters 4 --group-words pets.txt --text-weights clip.safetensors --quiet
run evenkeel audit own.npy -o OTHER --group-words pets.txt --text-weights pets.txt --quiet
bad() {
	# shellcheck disable=SC2059
	printf "$1" >bad.txt
	run evenkeel cluster RUN --group-words bad.txt --quiet
}
bad ''
bad 'dog\n'
bad 'none of these\n'
bad 'dog\ncat\ndog: a dog\n'
bad 'dog\ncaf\xe9\n'
bad '\xff\xfed\0o\0g\0'
bad 'dog\nc\0at\n'
bad 'dog\n: a cat\n'
bad "dog\n$(printf '%080d' 1)\n"
bad "dog: $(printf '%05000d' 1)\ncat\n"
run evenkeel cluster RUN --group-words missing.txt --quiet
printf 'dog: %s\ncat\n' "$(yes dog | head -100 | tr '\n' ' ')" >long.txt
run evenkeel cluster RUN --group-words long.txt --quiet
