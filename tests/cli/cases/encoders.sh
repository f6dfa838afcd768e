# shellcheck shell=bash
# No weight file is to be found outside the scratch folder.
export HOME=$PWD
# Another encoder takes the place of the first, which stays for comparison; own embeddings; embeddings alone.
make_images photos 200
run evenkeel audit photos -o RUN --encoder pixels --clusters 3 --quiet
run evenkeel embed RUN --encoder clip-vit-b32
run python3 -c "
import struct
rows = 200
head = '{\'descr\': \'<f4\', \'fortran_order\': False, \'shape\': (%d, 2), }' % rows
head += ' ' * (63 - (len(head) + 10) % 64) + '\n'
body = b''.join(struct.pack('<2f', 1 + i % 3, i % 3 * i % 3 + 1) for i in range(rows))
open('mine.npy', 'wb').write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head.encode() + body)"
run evenkeel stability RUN --embeddings mine.npy --quiet
run ls RUN
run evenkeel embed RUN --encoder pixels
run ls RUN
run evenkeel audit mine.npy -o ALONE --clusters 2 --quiet
run ls ALONE
make_images photos 220
run evenkeel scan RUN --quiet
run evenkeel embed RUN --quiet
run ls RUN
