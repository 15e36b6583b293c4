#ifndef NINEP_PROTOCOL_H
#define NINEP_PROTOCOL_H

/* 9P2000.L: numbers, as Linux's client has them. All integers are little-endian; a string is a
 * 16-bit length and its bytes. A message is size[4] type[1] tag[2] and its fields; the answer's
 * type is the question's plus one. */

#define P9_HEADER   7 /* size, type, tag */
#define P9_IO       4 /* count, before the bytes of Twrite and Rread */
#define P9_WALK_MAX 16
#define P9_NAME_MAX 255
#define P9_NO_FID   0xffffffffu
#define P9_NO_ID    0xffffffffu /* user or group: none */

#define P9_VERSION "9P2000.L"

enum p9_type {
    P9_RLERROR = 7,
    P9_TSTATFS = 8,
    P9_TLOPEN = 12,
    P9_TLCREATE = 14,
    P9_TSYMLINK = 16,
    P9_TMKNOD = 18,
    P9_TRENAME = 20,
    P9_TREADLINK = 22,
    P9_TGETATTR = 24,
    P9_TSETATTR = 26,
    P9_TXATTRWALK = 30,
    P9_TXATTRCREATE = 32,
    P9_TREADDIR = 40,
    P9_TFSYNC = 50,
    P9_TLOCK = 52,
    P9_TGETLOCK = 54,
    P9_TLINK = 70,
    P9_TMKDIR = 72,
    P9_TRENAMEAT = 74,
    P9_TUNLINKAT = 76,
    P9_TVERSION = 100,
    P9_TAUTH = 102,
    P9_TATTACH = 104,
    P9_TFLUSH = 108,
    P9_TWALK = 110,
    P9_TREAD = 116,
    P9_TWRITE = 118,
    P9_TCLUNK = 120,
    P9_TREMOVE = 122,
};

/* qid.type */
#define P9_QID_FILE    0x00u
#define P9_QID_SYMLINK 0x02u
#define P9_QID_DIR     0x80u

/* Tlopen, Tlcreate: x86's numbers on every machine. */
#define P9_O_ACCESS    00000003u
#define P9_O_RDONLY    00000000u
#define P9_O_WRONLY    00000001u
#define P9_O_RDWR      00000002u
#define P9_O_CREATE    00000100u
#define P9_O_EXCL      00000200u
#define P9_O_TRUNC     00001000u
#define P9_O_APPEND    00002000u
#define P9_O_DSYNC     00010000u
#define P9_O_DIRECTORY 00200000u
#define P9_O_NOATIME   01000000u
#define P9_O_SYNC      04000000u

/* What an open file keeps of its flags; all others say how to open, or nothing to a server. */
#define P9_O_KEPT                                                                                  \
    (P9_O_ACCESS | P9_O_APPEND | P9_O_DSYNC | P9_O_DIRECTORY | P9_O_NOATIME | P9_O_SYNC)

#define P9_AT_REMOVEDIR 0x200u

#define P9_GETATTR_BASIC 0x7ffull

enum p9_setattr {
    P9_SETATTR_MODE = 1 << 0,
    P9_SETATTR_UID = 1 << 1,
    P9_SETATTR_GID = 1 << 2,
    P9_SETATTR_SIZE = 1 << 3,
    P9_SETATTR_ATIME = 1 << 4,
    P9_SETATTR_MTIME = 1 << 5,
    P9_SETATTR_CTIME = 1 << 6,
    P9_SETATTR_ATIME_SET = 1 << 7,
    P9_SETATTR_MTIME_SET = 1 << 8,
};

enum p9_lock_type { P9_LOCK_SHARED, P9_LOCK_EXCLUSIVE, P9_LOCK_NONE };
enum p9_lock_status { P9_LOCK_SUCCESS, P9_LOCK_BLOCKED };

#define P9_STATFS_TYPE 0x01021997u /* V9FS_MAGIC */

#endif
