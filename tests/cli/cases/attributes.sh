# shellcheck shell=bash
# Attributes: histograms and rare pairs first, numbers by whole steps or as asked, and plans by what was asked.
make_images photos 300
{
	echo file_name,age,sex
	i=0
	for file in $(cd photos && find . -name '*.png' -o -name '*.jpg' | sort); do
		i=$((i + 1))
		sex=f
		[ $((i % 3)) = 0 ] || sex=m
		[ $((i % 30)) = 1 ] && sex=
		[ $((i % 10)) = 2 ] && sex=x
		echo "${file#./},$((i * i % 83 + 1)),$sex"
	done
} >people.csv
run evenkeel audit photos -o RUN --encoder pixels --clusters 3 --attributes people.csv
run ls RUN
run evenkeel audit RUN --ranges age=18,65 --quiet
run cat RUN/ranges.json
run evenkeel balance RUN --to smallest --by age --name asked | grep -A5 '^  age '
run evenkeel balance RUN --total 299 --by age --name little | grep -B1 -A5 'next to\|^  age '
run evenkeel audit RUN --ranges sex=1
run evenkeel audit RUN --ranges height=1
run evenkeel audit RUN --ranges age=65,18
run evenkeel audit RUN --no-ranges --quiet | grep -A5 'age: '
# a range says nothing without the attribute that it is of
cut -d, -f1,2 people.csv | sed 's|^[^,]*/||' >ages.csv
mkdir flat && find photos -type f -exec cp -t flat {} +
evenkeel audit flat -o FLAT --encoder pixels --clusters 3 --attributes ages.csv --ranges age=18,65 --quiet >/dev/null
grep -o '<h1>.*</h1>' FLAT/report.html
