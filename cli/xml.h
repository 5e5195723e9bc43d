/* Text as XML takes it, in an attribute or an element; what XML has no way to write becomes U+FFFD. */
#ifndef CLI_XML_H
#define CLI_XML_H

#include <stdio.h>

void xml_text(FILE *out, const char *text);

#endif
