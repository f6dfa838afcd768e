/* The data set of the demo: Debian's Fashion-MNIST, made long-tailed on purpose (class sizes falling from 6,000 to 60).
 */
#ifndef EK_PIPELINE_DEMO_DATA_H
#define EK_PIPELINE_DEMO_DATA_H

#define EK_DEMO_IMAGES "long-tailed-garments.idx"

/* Write the images (IDX) and, as a table of attributes of them, the hidden classes. The images come last: they say that
 * both are there. The same bytes each time. EK_EIO: the photographs are not installed; EK_EDATA, EK_ENOMEM. */
int ek_demo_data_make(const char *images, const char *classes);

#endif
