/* The data set of the demo: Debian's Fashion-MNIST, made long-tailed on purpose (class sizes falling from 6,000 to 60).
 */
#ifndef EK_PIPELINE_DEMO_DATA_H
#define EK_PIPELINE_DEMO_DATA_H

#include "rebalance/io/run.h"

/* In RUN/data, unless they are there: the images (IDX) and, as a table of attributes of them, the hidden classes;
 * `*images`, `*classes`: their paths, absolute, to be freed. The same bytes each time. EK_EIO: the photographs are not
 * installed; EK_EDATA, EK_ENOMEM. */
int ek_demo_data(char **images, char **classes, const struct ek_run *run);

/* In RUN/data: a table of ten images of every hidden class and their classes, drawn by the seed, as a person who was
 * asked for ten of each would give them; `*path`, to be freed. */
int ek_demo_labels(char **path, const struct ek_run *run, uint64_t seed);

#endif
