/* label.html, .css and .js, put into the program by cmake/embed.cmake. */
#ifndef EK_REPORTS_LABEL_FILES_H
#define EK_REPORTS_LABEL_FILES_H

#include <stddef.h>

extern const unsigned char ek_label_html[], ek_label_css[], ek_label_js[];
extern const size_t ek_label_html_size, ek_label_css_size, ek_label_js_size;

#endif
