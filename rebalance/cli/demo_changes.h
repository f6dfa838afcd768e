/* The end of the demo: what ten labels a class changed for the groups that they taught, judged as `compare` does.
 * Generators that were trained for different numbers of steps, or measured otherwise, are not compared, which it says.
 */
#ifndef EK_CLI_DEMO_CHANGES_H
#define EK_CLI_DEMO_CHANGES_H

/* From RUN/evaluations/{natural,natural-equal,mended}.json, whatever they say. EK_EDATA: one is damaged. */
int ek_demo_changes_print(const char *run);

#endif
