# shellcheck shell=bash
# Several data sets in one command: names, labels and the attribute dataset say which image is of which.
mkdir a b
make_images a/set 12
make_images b/set 8
mkdir c tmp
(cd a/set && find . -name '*.jpg' | sort | tail -n 4 | tar --sort=name --format=ustar -cf ../../c/late.tar -T -)
for image in $(tar -tf c/late.tar); do
	mkdir -p "tmp/$(dirname "$image")"
	printf 'late' > "tmp/${image%.jpg}.cls"
done
(cd tmp && find . -name '*.cls' | sort | tar -rf ../c/late.tar -T -)
sets() { grep -o '"dataset": "[^"]*"' "$1/images.jsonl" | uniq -c; }
run evenkeel scan a/set b/set c/late.tar -o RUN --quiet
sets RUN
grep -c '"label": "late", "dataset": "c/late.tar"' RUN/images.jsonl
grep -o '"file_name": "[^"]*"' RUN/images.jsonl | sort | uniq -d
# Current, and stale when one of them changes.
run evenkeel scan RUN
rm b/set/*/00000.*
run evenkeel scan RUN | grep -E '^listing|images'
run evenkeel audit RUN --encoder pixels --clusters 3 --quiet | grep -E '^  (clusters against|dataset|label) '
run evenkeel info RUN | grep -A 1 -E '"several"|datasets '
run evenkeel weights RUN --by dataset --scheme inverse --name even | head -n 4
run evenkeel balance RUN --by dataset --to smallest --name few | head -n 4
run evenkeel export RUN --subset few -o OUT --as copies --quiet
find OUT -type f -name '*.*g' | wc -l
# The same images in another order have other ids; the threads do not count.
run evenkeel scan c/late.tar b/set a/set -o BACK --threads 1 --quiet
sets BACK
run evenkeel scan c/late.tar b/set a/set -o BACK4 --threads 4 --quiet
cmp BACK/images.jsonl BACK4/images.jsonl
# A list from standard input among them, and an attribute that is called dataset.
printf 'file_name,dataset\n%s,mine\n' "$(cd b/set && find . -name '*.png' | sort | head -n 1)" > b/set/metadata.csv
find "$PWD/a/set" -name '*.png' | sort >list
run bash -c 'evenkeel scan b/set - -o LIST <list'
sets LIST
grep -o '"dataset": "[^"]*", "dataset_": "[^"]*"' LIST/images.jsonl
# What cannot be.
run evenkeel scan a/set a/set -o NO
run evenkeel scan a a/set -o NO
run evenkeel scan a/set nothing -o NO
run bash -c 'evenkeel scan a/set - - -o NO <list'
mkdir empty hollow
run evenkeel scan empty hollow -o NO
