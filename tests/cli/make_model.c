/* make_model.c - write a small random model into a directory, for tests of the command:
 *
 *     make_model DIR VOCAB LAYERS_WITH_ATTENTION K_PROJ_FACTOR
 */
#include "support/tiny.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    tiny_dims d = TINY_DIMS;
    store     s = { 0 };

    if (argc != 5) {
        fprintf(stderr, "usage: make_model DIR VOCAB LAYERS_WITH_ATTENTION K_PROJ_FACTOR\n");
        return 2;
    }
    d.n_vocab = atoi(argv[2]);
    d.n_attention = atoi(argv[3]);
    tiny_write(&d, argv[1]);
    tiny_tensors(&d, &s);
    store_tensor *t = store_find(&s, "model.layers.1.self_attn.k_proj.weight");
    for (size_t i = 0; t && i < t->bytes; i += sizeof(float)) {
        float value;
        memcpy(&value, t->data + i, sizeof value);
        value *= strtof(argv[4], NULL);
        memcpy(t->data + i, &value, sizeof value);
    }
    tiny_write_tensors(&s, 0, argv[1]);
    store_free(&s);
    return 0;
}
