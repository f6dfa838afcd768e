# shellcheck shell=bash
# Views, whitened components, weights of single images.
make_images photos 120
run evenkeel audit photos -o RUN --encoder pixels --clusters 5 --quiet --json >/dev/null
run evenkeel embed RUN --views 3 --quiet
cp -r RUN/components before
run evenkeel embed RUN --views 3 --threads 3 --force --quiet --json >/dev/null
cmp RUN/components/axes.npy before/axes.npy && cmp RUN/components/mean.npy before/mean.npy && echo "the same for any threads"
run evenkeel weights RUN --scheme design --name rare --quiet
run evenkeel weights RUN --scheme vendi --ess 0.9 --by label --name diverse --quiet
run evenkeel draw RUN --weights rare --count 5 --quiet
run evenkeel prune RUN --keep 0.25 --method leverage --order high --name outliers --quiet --json | grep -o '"images_after": *[0-9]*'
run evenkeel prune RUN --keep 0.25 --method leverage --name outliers
run evenkeel weights RUN --scheme design=3 --name x
run evenkeel weights RUN --scheme design --ess 2 --name x
# The components of another seed are others, and so are the weights.
run evenkeel embed RUN --seed 7 --quiet
run evenkeel draw RUN --weights rare --count 5 --quiet
# Own embeddings have no views.
make_arrays narrow RUN/embeddings.npy own.npy
evenkeel audit own.npy -o OWN --clusters 4 --views 3 2>&1 >/dev/null | grep spread
run evenkeel weights OWN --scheme design --name rare --quiet --json >/dev/null && grep -o '"whitened_by":.*' OWN/components/components.json
# Groups from labels of some images: half of them drawn at random.
printf 'file_name,label,random\n' >labels.csv
i=0
for f in photos/*/*; do
	i=$((i + 1))
	if [ $((i % 5)) = 0 ]; then
		folder=$(basename "$(dirname "$f")")
		printf '%s/%s,%s,%s\n' "$folder" "$(basename "$f")" "$folder" $((i % 10 == 0)) >>labels.csv
	fi
done
run evenkeel cluster RUN --labels labels.csv --quiet
run evenkeel balance RUN --by group --to smallest --name even --quiet
run evenkeel weights RUN --by group --scheme inverse --name fair --quiet
# Where nobody says by what: groups, and it is said; an attribute or clusters only if asked.
run evenkeel balance RUN --to smallest --name unasked --recipe recipe.json
cmp RUN/subsets/unasked/keep.npy RUN/subsets/even/keep.npy && grep -o '"by":[^,]*' recipe.json
run evenkeel balance RUN --to smallest --by cluster --name flat --quiet | head -2
run evenkeel weights RUN --scheme inverse --name unasked
cmp RUN/weights/unasked/weights.npy RUN/weights/fair/weights.npy && echo "as by group"
evenkeel info RUN/clusters | grep mostly
# A generator can be told the groups, and asked for them.
evenkeel train flow RUN --name told --condition group --weights fair --space pixel --side 8 --patch 4 --width 16 --depth 1 --steps 2 --batch 4 --quiet >/dev/null
grep -o '"by":"group"' <(tr -d ' \n\t' <RUN/models/told/config.json)
evenkeel generate RUN --model told --name few --class check --count 3 --steps 1 --quiet >/dev/null && grep -c '"group": *"check"' RUN/samples/few/samples.jsonl
# What is made, by named group: no checks were, and their coverage says so.
mkdir made && cp photos/bar/*.png photos/disc/*.png made
evenkeel evaluate RUN --samples made --name made --quiet 2>/dev/null | grep -A 4 'named group'
run evenkeel evaluate RUN --samples photos --name all --quiet 2>/dev/null | grep -A 4 'named group'
evenkeel compare RUN --baseline all | sed -n 1,3p
evenkeel audit RUN --quiet | grep -A 5 'groups: learned'
grep -o 'id="groups"' RUN/report.html
run evenkeel weights RUN --reference photos --name like --quiet
# A recipe by groups has what taught them, one of weights of single images what they are measured in; by clusters neither.
# It gives another run the same plan.
evenkeel audit photos -o AGAIN --encoder pixels --clusters 3 --quiet --json >/dev/null
again() {
	cmp "RUN/$1" "AGAIN/$1" && echo "the same"
}
evenkeel weights RUN --scheme inverse --name fair --recipe fair.json --quiet >/dev/null
run evenkeel info fair.json
run evenkeel weights AGAIN --recipe fair.json --quiet
again weights/fair/weights.npy
evenkeel weights RUN --scheme design --name rare --recipe rare.json --quiet >/dev/null
grep -c -e '"components"' -e '"groups"' rare.json
evenkeel weights AGAIN --recipe rare.json --quiet >/dev/null && again weights/rare/weights.npy
evenkeel balance RUN --by cluster --to smallest --name flat --recipe flat.json --quiet >/dev/null
grep -c -e '"components"' -e '"groups"' flat.json
# What is made from labels that were changed is stale, and what is made from that; of labels that are away it is said.
cp labels.csv kept.csv
echo 'bar/none.png,bar,0' >>labels.csv
run evenkeel info RUN/clusters/groups.json | grep -e stale
run evenkeel info RUN/weights
rm labels.csv
run evenkeel info RUN/clusters/groups.json | grep -e current -e 'not there'
evenkeel info RUN/clusters/groups.json --json | grep -e '"stale"' -e '"missing"'
run evenkeel weights AGAIN --recipe fair.json --scheme sqrt --name root --quiet
mv kept.csv labels.csv
printf 'name,share\nbar,0.5\ndisc,0.3\ncheck,0.2\n' >shares.csv
evenkeel balance RUN --by group --target shares.csv --name shares --quiet >/dev/null
evenkeel weights RUN --by group --scheme target=shares.csv --name shares --quiet >/dev/null
sed -i 's/0.5/0.4/' shares.csv
run evenkeel info RUN/subsets/shares | grep stale
run evenkeel info RUN/weights/shares | grep stale
printf 'id,label\n0,a\n1,b\n999,b\n' >labels.csv
run evenkeel cluster RUN --labels labels.csv --quiet
printf 'id,label\n0,a\n1,b\n' >labels.csv
evenkeel cluster RUN --labels labels.csv --quiet | grep 'groups: learned'
printf 'file_name,label\nnothing.png,a\n' >labels.csv
run evenkeel cluster RUN --labels labels.csv --quiet
run evenkeel weights OWN --by group --scheme inverse --name x
# Without labels: groups that are found.
run evenkeel cluster RUN --groups 3 --quiet
run evenkeel weights RUN --by group --scheme inverse --name found --quiet
run evenkeel weights RUN --scheme tree --name tree --quiet
run evenkeel weights RUN --scheme blend --by label --name blend --quiet
cut -d, -f2,3,6 RUN/weights/found/groups.csv
evenkeel balance RUN --by group --to smallest --name found --quiet >/dev/null
evenkeel audit RUN --quiet >/dev/null
# The report tells what both do to the groups, and what those mostly are.
grep -o '<caption><bdi>Groups</bdi>' RUN/report.html | sort -u
grep -o '<tr><th scope="row"><bdi>g2</bdi><small class="mostly" title="mostly check">' RUN/report.html | wc -l
grep -o 'every <bdi>group</bdi> is shown equally often' RUN/report.html | sort -u
evenkeel audit RUN --groups auto --quiet | grep -A 2 'groups: found'
grep -o 'Found without labels' RUN/report.html
run evenkeel cluster RUN --groups 200 --quiet
# Where nothing else is known of them, named groups are what the page begins with.
awk 'BEGIN { print "id,label,random"; for (i = 0; i < 40; i++) print i "," (i % 4 ? "many" : "few") "," i % 2 }' >labels.csv
evenkeel audit OWN --labels labels.csv --quiet >/dev/null
grep -o 'are <span><bdi>[^/]*' OWN/report.html
grep -o 'href="#groups">All shares' OWN/report.html
# Embeddings of one's own, too, are looked at where they came from.
touch -d 2020-02-02 own.npy
run evenkeel info OWN/clusters/groups.json | grep stale
rm own.npy
run evenkeel info OWN/embeddings.npy | grep 'not there'
