// A QEMU plugin that counts the guest kernel's instructions from its entry
// until the first user program runs, by block and at chosen marks.
//
// Written against the stable plugin interface, version 1; the few declarations
// it needs are below, so no QEMU headers have to be installed.
//
// Arguments: out=FILE marks=FILE (one hexadecimal address per line)
// Output: `total N`, then `mark ADDR N` in order of execution, then
// `block ADDR INSNS` for every block that ran.
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
typedef void (*tb_trans_cb)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*tb_exec_cb)(unsigned int, void *);
enum { CB_NO_REGS = 0, INLINE_ADD_U64 = 0 };
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, tb_trans_cb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, tb_exec_cb, int, void *);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
__attribute__((visibility("default"))) int qemu_plugin_version = 1;

struct block { struct block *next; uint64_t vaddr, insns; };
static struct block *blocks;
static uint64_t total;
static uint64_t marks[1 << 14]; static size_t n_marks;
static struct { uint64_t addr, at; } hits[1 << 16]; static size_t n_hits;
static const char *out_path;

static bool in_kernel(uint64_t a) { return a >= 0xffffffff80000000ull || (a >= 0x1000000 && a < 0x8000000); }
static bool in_user(uint64_t a) { return a >= 0x1000000000ull && a < 0x800000000000ull; }

static void on_user(unsigned int cpu, void *data)
{
    (void)cpu; (void)data;
    FILE *f = fopen(out_path, "w");
    if (!f) { perror(out_path); _exit(3); }
    fprintf(f, "total %" PRIu64 "\n", total);
    for (size_t i = 0; i < n_hits; i++) fprintf(f, "mark %" PRIx64 " %" PRIu64 "\n", hits[i].addr, hits[i].at);
    for (struct block *b = blocks; b; b = b->next) if (b->insns) fprintf(f, "block %" PRIx64 " %" PRIu64 "\n", b->vaddr, b->insns);
    if (fclose(f)) { perror(out_path); _exit(3); }
    _exit(0);
}

static void on_mark(unsigned int cpu, void *data)
{
    (void)cpu;
    if (n_hits == sizeof hits / sizeof *hits) return;
    hits[n_hits].addr = (uint64_t)(uintptr_t)data;
    hits[n_hits++].at = total;
}

static int order(const void *a, const void *b) { uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b; return (x > y) - (x < y); }

static void on_block(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    uint64_t vaddr = qemu_plugin_tb_vaddr(tb);
    if (in_user(vaddr)) { qemu_plugin_register_vcpu_tb_exec_cb(tb, on_user, CB_NO_REGS, NULL); return; }
    if (!in_kernel(vaddr)) return;
    if (bsearch(&vaddr, marks, n_marks, sizeof *marks, order)) qemu_plugin_register_vcpu_tb_exec_cb(tb, on_mark, CB_NO_REGS, (void *)(uintptr_t)vaddr);
    struct block *b = calloc(1, sizeof *b);
    if (!b) _exit(3);
    *b = (struct block){ blocks, vaddr, 0 };
    blocks = b;
    uint64_t n = qemu_plugin_tb_n_insns(tb);
    qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64, &b->insns, n);
    qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64, &total, n);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "out=", 4)) out_path = strdup(argv[i] + 4);
        if (!strncmp(argv[i], "marks=", 6)) {
            FILE *f = fopen(argv[i] + 6, "r");
            if (!f) { perror(argv[i] + 6); return 1; }
            while (n_marks < sizeof marks / sizeof *marks && fscanf(f, "%" SCNx64, &marks[n_marks]) == 1) n_marks++;
            fclose(f);
            qsort(marks, n_marks, sizeof *marks, order);
        }
    }
    if (!out_path) { fprintf(stderr, "insn_count: out=FILE is needed\n"); return 1; }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
    return 0;
}
