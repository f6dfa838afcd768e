# shellcheck shell=bash
# What is damaged of plans does not keep an audit from being reported: it is named, with what makes it again.
brief() { run "$@" | sed -n '/^warning\|^evenkeel\|^report\|^writing\|^(exit\|damaged\|makes it again/p' | sed "s|$PWD/||"; }
make_images photos 40
evenkeel audit photos -o RUN --encoder pixels --quiet >/dev/null
evenkeel prune RUN --method furthest --keep 0.5 --name half --quiet >/dev/null
evenkeel weights RUN --scheme inverse --name even --quiet >/dev/null
evenkeel report RUN --quiet >/dev/null
cp -r RUN whole
for file in subsets/half/subset.json subsets/half/decision.npy weights/even/weights.json weights/even/groups.csv; do
	echo "# $file"
	echo '{"cut": ' >RUN/$file
	brief evenkeel report RUN --quiet
	grep -o '<b>Not on this page</b>\|<h3>Not on this page</h3>' RUN/report.html
	brief evenkeel info RUN/$file
	evenkeel info RUN/$file --json | grep -o '"damaged".*whole\|"damaged"'
	cp -p whole/$file RUN/$file
done
brief evenkeel report RUN
grep -c 'Not on this page' RUN/report.html
echo '# outside of a run a damaged file is an error'
echo '{"cut": ' >plan.json
run evenkeel info plan.json
echo '# a key without a table'
brief evenkeel scan photos -o other --key name
