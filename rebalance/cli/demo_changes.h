/* The end of the demo: what balancing changed for the small clusters, in a sentence, judged as `compare` does.
 * Generators that were trained for different numbers of steps, or measured otherwise, are not compared, which it says.
 */
#ifndef EK_CLI_DEMO_CHANGES_H
#define EK_CLI_DEMO_CHANGES_H

/* From RUN/evaluations/{natural,natural-equal,weighted}.json, whatever they say. EK_EDATA: one is damaged. */
int ek_demo_changes_print(const char *run);

#endif
