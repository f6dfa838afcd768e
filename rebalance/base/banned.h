/* Functions that overflow, or that cannot report an error. Included everywhere by the compiler (-include). */
#ifndef EK_BASE_BANNED_H
#define EK_BASE_BANNED_H
#ifndef __cplusplus
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#pragma GCC poison strcpy strcat sprintf vsprintf strtok gets atoi atol atof
#endif
#endif
