#include "test_source.h"

#include <string.h>
#include <sys/stat.h>

#include "plan9/9p/private.h"

/*
 * F a fid, N a name, T a text, W names to walk, D bytes to write, L a lock; u a user or group, m a
 * mode, o flags of an open, b h d q small numbers of 1, 2, 4, 8 bytes.
 */
static const struct {
    uint8_t type;
    const char *fields;
} forms[] = {
    {P9_TWALK, "FFW"},           {P9_TWALK, "FFW"},      {P9_TWALK, "FFW"},
    {P9_TLOPEN, "Fo"},           {P9_TLCREATE, "FNomu"}, {P9_TREAD, "Fqd"},
    {P9_TWRITE, "FqD"},          {P9_TREADDIR, "Fqd"},   {P9_TGETATTR, "Fq"},
    {P9_TSETATTR, "Fdmuuqqqqq"}, {P9_TCLUNK, "F"},       {P9_TREMOVE, "F"},
    {P9_TSYMLINK, "FNTu"},       {P9_TMKNOD, "FNmddu"},  {P9_TMKDIR, "FNmu"},
    {P9_TRENAME, "FFN"},         {P9_TRENAMEAT, "FNFN"}, {P9_TUNLINKAT, "FNd"},
    {P9_TLINK, "FFN"},           {P9_TREADLINK, "F"},    {P9_TSTATFS, "F"},
    {P9_TFSYNC, "Fd"},           {P9_TLOCK, "FbdqqdT"},  {P9_TGETLOCK, "FbqqdT"},
    {P9_TATTACH, "FXTTu"},       {P9_TFLUSH, "h"},       {P9_TXATTRWALK, "FFN"},
    {P9_TXATTRCREATE, "FNqd"},   {P9_TAUTH, "FTTu"},     {P9_TVERSION, "MV"},
};

static const char *const names[] = {
    "d", "f", "e", "g", "out", "loop", "..", "new", "x", ".", "", "secret", "a/b", "..", "out", "y",
};

static const char *const texts[] = {"..",    "../secret",           "/", "d",
                                    "guest", "../../../etc/passwd", "f", "\xff"};

unsigned draw(struct source *s, unsigned below)
{
    unsigned value = s->at < s->size ? s->data[s->at++] : 0;

    if (below > 256)
        value = value << 8 | (s->at < s->size ? s->data[s->at++] : 0);
    return value % below;
}

static void put_text(struct writer *w, const char *text)
{
    write_text(w, text, strlen(text));
}

static void put_walk(struct writer *w, struct source *s)
{
    unsigned n = draw(s, 16) == 15 ? draw(s, 20) : draw(s, 4);

    write_u16(w, (uint16_t)n);
    for (unsigned i = 0; i < n; i++)
        put_text(w, names[draw(s, 16)]);
}

static void put_bytes(struct writer *w, struct source *s)
{
    unsigned n = draw(s, 64);

    write_u32(w, n);
    for (unsigned i = 0; i < n; i++)
        write_u8(w, (uint8_t)draw(s, 256));
}

/* Mostly small; now and then one at an edge. */
static uint64_t number(struct source *s)
{
    static const uint64_t edges[] = {
        UINT64_MAX, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT32_MAX, 1u << 20, 65536, 4096, 0x200};
    unsigned kind = draw(s, 8);

    return kind == 7 ? edges[draw(s, 8)] : draw(s, 64);
}

static void put_field(struct writer *w, struct source *s, char field)
{
    static const uint32_t types[] = {S_IFREG,  S_IFDIR, S_IFLNK, S_IFIFO,
                                     S_IFSOCK, S_IFCHR, S_IFBLK, 0};

    if (field == 'F')
        write_u32(w, draw(s, 32) == 31 ? P9_NO_FID : draw(s, 8));
    else if (field == 'X')
        write_u32(w, P9_NO_FID);
    else if (field == 'N')
        put_text(w, names[draw(s, 16)]);
    else if (field == 'T')
        put_text(w, texts[draw(s, 8)]);
    else if (field == 'W')
        put_walk(w, s);
    else if (field == 'D')
        put_bytes(w, s);
    else if (field == 'M')
        write_u32(w, draw(s, 4) == 0 ? 8192 : 65536);
    else if (field == 'V')
        put_text(w, P9_VERSION);
    else if (field == 'm')
        write_u32(w, types[draw(s, 8)] | draw(s, 010000));
    else if (field == 'o')
        write_u32(w, draw(s, 4) | (draw(s, 2) ? P9_O_TRUNC : 0) | (draw(s, 2) ? P9_O_APPEND : 0) |
                         (draw(s, 4) == 0 ? P9_O_DIRECTORY : 0));
    else if (field == 'u')
        write_u32(w, draw(s, 4) == 0 ? P9_NO_ID : 0);
    else if (field == 'b')
        write_u8(w, (uint8_t)draw(s, 4));
    else if (field == 'h')
        write_u16(w, (uint16_t)draw(s, 256));
    else if (field == 'd')
        write_u32(w, (uint32_t)number(s));
    else
        write_u64(w, number(s));
}

size_t draw_message(struct source *s, uint8_t ret[2048])
{
    struct writer w = {.data = ret, .room = 2048};
    unsigned form = draw(s, sizeof(forms) / sizeof(forms[0]));

    if (forms[form].type == P9_TVERSION && draw(s, 8) != 0) /* ends all: seldom */
        form = 0;
    write_u32(&w, 0);
    write_u8(&w, forms[form].type);
    write_u16(&w, (uint16_t)draw(s, 256));
    for (const char *field = forms[form].fields; *field != '\0'; field++)
        put_field(&w, s, *field);
    struct writer size = {.data = ret, .room = 4};
    write_u32(&size, (uint32_t)w.at);
    return w.at;
}
