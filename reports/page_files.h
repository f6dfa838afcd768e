/* page.css and page.js, and common.js of the pages that a server gives, put into the program by cmake/embed.cmake. */
#ifndef EK_REPORTS_PAGE_FILES_H
#define EK_REPORTS_PAGE_FILES_H

#include <stddef.h>

extern const unsigned char ek_page_css[], ek_page_js[], ek_common_js[];
extern const size_t ek_page_css_size, ek_page_js_size, ek_common_js_size;

#endif
