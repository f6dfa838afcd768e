/* Where a network's time goes on a GPU. */
#ifndef EK_BENCH_OPERATORS_H
#define EK_BENCH_OPERATORS_H

struct ek_net_state;
struct ek_store;

/* Prints milliseconds of each kind of operator alone, forward and backward; all: of each operator, with the rates of
 * what it reads and writes at least and of its products. store: of a net that learns, or NULL. */
int ek_bench_operators(struct ek_net_state *s, struct ek_store *store, int all);

#endif
