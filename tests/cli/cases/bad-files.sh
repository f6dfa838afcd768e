# shellcheck shell=bash
# Files that options name are read and refused before the work that comes before their use: nothing is embedded,
# clustered or drawn above the line that says what is wrong.
make_images photos 40
printf 'file_name,label\nbar/00006.png,"a\n' >open.csv
head -c 4096 /dev/zero >zeros.csv
printf 'name,kind\nbar/00006.png,a\n' >column.csv
printf 'file_name,label\nbar/00006.png,a\nbar/00012.png,a\n' >one.csv
printf 'file_name,label\nnobody.png,a\nnothing.png,b\n' >nobody.csv
printf 'id,label\n1,a\n999,b\n' >ids.csv
printf 'cluster,share\n0,many\n' >shares.csv
for table in open zeros column one nobody ids; do
	run evenkeel audit photos -o NEW --encoder pixels --clusters 3 --labels $table.csv
	rm -rf NEW
done
run evenkeel audit photos -o NEW --encoder pixels --clusters 3 --check header --labels nobody.csv
rm -rf NEW
run evenkeel audit photos -o NEW --embeddings open.csv
run evenkeel audit photos -o NEW --weights zeros.csv
run evenkeel audit photos -o NEW --encoder clip-vit-b32 --group-words one.csv --text-weights open.csv
rm -rf NEW

evenkeel audit photos -o RUN --encoder pixels --clusters 3 --quiet >/dev/null
for table in open zeros one nobody; do run evenkeel cluster RUN --labels $table.csv; done
run test ! -e RUN/components
run evenkeel weights RUN --name w --reference photos --by group
# What cannot be read of a reference, and rows that fit no image, are told of once.
cp -r photos wanted && echo broken >wanted/broken.png
evenkeel weights RUN --name w --reference wanted --quiet 2>&1 >/dev/null | grep -c 'cannot be read'
printf 'file_name,label\nnobody.png,a\nbar/00006.png,a\nbar/00012.png,b\n' >some.csv
run evenkeel cluster RUN --labels some.csv --quiet
run evenkeel evaluate RUN --samples photos --name x --statistics zeros.csv
run evenkeel evaluate RUN --samples photos --name x --target shares.csv
for table in open column; do run evenkeel evaluate RUN --samples photos --name x --reference $table.csv; done
run evenkeel evaluate RUN --samples photos --name x --reference nowhere
run evenkeel evaluate RUN --samples photos --name x --encoder inception-fid --weights open.csv
run evenkeel train vae RUN --name v --perceptual 1 --perceptual-weights open.csv
