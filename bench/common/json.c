#include "common/json.h"

void json_number(FILE *file, const char *key, double value)
{
    fprintf(file, ", \"%s\": %.6g", key, value);
}

void json_count(FILE *file, const char *key, long value)
{
    if (value >= 0) fprintf(file, ", \"%s\": %ld", key, value);
}

void json_text(FILE *file, const char *key, const char *value)
{
    fprintf(file, ", \"%s\": \"", key);
    for (; *value; value++)
        fputc(*value == '"' || *value == '\\' || (unsigned char)*value < ' ' ? ' ' : *value, file);
    fputc('"', file);
}
