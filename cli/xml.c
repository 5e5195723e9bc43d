/* Five characters are escaped; control characters and wrong UTF-8 cannot be, in XML 1.0. */
#include <string.h>

#include "json.h"
#include "xml.h"

static const char *escape_of(char c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&apos;";
    case '\n': return "&#10;";
    case '\t': return "&#9;";
    default: return NULL;
    }
}

/* U+FFFE and U+FFFF are valid UTF-8, and no characters of XML. */
static int is_noncharacter(const unsigned char *s, size_t length)
{
    return length == 3 && s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe;
}

void xml_text(FILE *out, const char *text)
{
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t length = utf8_length(s);
        const char *escape = escape_of((char)*s);
        if (escape)
            fputs(escape, out);
        else if (length == 0 || *s < 0x20 || *s == 0x7f || is_noncharacter(s, length))
            fputs("\xef\xbf\xbd", out);
        else
            fwrite(s, 1, length, out);
        s += length == 0 ? 1 : length;
    }
}
