/* conversation.c - messages, tools and variables: from JSON to the values a template sees. */
#include "chat/conversation.h"

static bb_value read_list(bb_work *w, const bb_json_node *node)
{
    const bb_value      list = bb_list_new(w, BB_LIST);
    const bb_json_node *item = node + 1;

    for (uint32_t i = 0; i < node->n && w->status == BAMBA_OK; i++, item = bb_json_after(item))
        bb_list_push(w, list, bb_value_of_json(w, item));
    return list;
}

static bb_value read_key(bb_work *w, const bb_json_node *key)
{
    return bb_text(bb_passage_of_user(w, key->is.text, strlen(key->is.text)));
}

static bb_value read_object(bb_work *w, const bb_json_node *node)
{
    const bb_value      d = bb_dict_new(w);
    const bb_json_node *key = node + 1;

    for (uint32_t i = 0; i < node->n && w->status == BAMBA_OK; i++, key = bb_json_after(key + 1))
        bb_dict_set(w, d.is.dict, read_key(w, key), bb_value_of_json(w, key + 1));
    return d;
}

bb_value bb_value_of_json(bb_work *w, const bb_json_node *node)
{
    if (!bb_step(w, 1)) return BB_VALUE(BB_UNDEFINED);
    switch (node->kind) {
    case BB_JSON_BOOL:   return bb_bool(node->is.integer != 0);
    case BB_JSON_INT:    return bb_int(node->is.integer);
    case BB_JSON_FLOAT:  return bb_float(node->is.number);
    case BB_JSON_TEXT:   return bb_text(bb_passage_of_user(w, node->is.text, node->n));
    case BB_JSON_BIG:
        return (bb_value){ .kind = BB_BIG, .is.text = bb_passage_of(w, node->is.text, node->n) };
    case BB_JSON_ARRAY:  return read_list(w, node);
    case BB_JSON_OBJECT: return read_object(w, node);
    default:             return BB_VALUE(BB_NONE);
    }
}

/* Templates make special tokens of roles, '<|' + role + '|>': a plain word is no user's text. */
static bb_value read_role(bb_work *w, const bb_json_node *node)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

    if (node->kind == BB_JSON_TEXT && strspn(node->is.text, plain) == node->n)
        return bb_text(bb_passage_of(w, node->is.text, node->n));
    return bb_value_of_json(w, node);
}

static void set(bb_work *w, bb_value d, const char *key, bb_value value)
{
    bb_dict_set(w, d.is.dict, bb_text_of(w, key), value);
}

/* The reasoning of a message by the first name it has; NULL: none. */
static const bb_json_node *find_reasoning(const bb_json_node *message)
{
    static const char *const names[] = { "reasoning_content", "thinking", "reasoning" };

    for (int i = 0; i < 3; i++) {
        const bb_json_node *key = message + 1;
        for (uint32_t k = 0; k < message->n; k++, key = bb_json_after(key + 1))
            if (strcmp(key->is.text, names[i]) == 0 && key[1].kind != BB_JSON_NULL) return key + 1;
    }
    return NULL;
}

static bb_value read_message(bb_work *w, const bb_json_node *node)
{
    const bb_value      d = bb_dict_new(w);
    const bb_json_node *key = node + 1;
    const bb_json_node *reasoning = find_reasoning(node);

    if (w->status != BAMBA_OK) return d;
    if (reasoning) set(w, d, "thinking", bb_value_of_json(w, reasoning));
    for (uint32_t i = 0; i < node->n && w->status == BAMBA_OK; i++, key = bb_json_after(key + 1)) {
        if (key[1].kind == BB_JSON_NULL) continue;
        const bool is_role = strcmp(key->is.text, "role") == 0;
        bb_dict_set(w, d.is.dict, read_key(w, key),
                    is_role ? read_role(w, key + 1) : bb_value_of_json(w, key + 1));
    }
    if (reasoning) set(w, d, "reasoning_content", bb_value_of_json(w, reasoning));
    return d;
}

bb_value bb_conversation(bb_work *w, const bb_json_node *messages)
{
    const bb_value      list = bb_list_new(w, BB_LIST);
    const bb_json_node *item = messages + 1;

    if (messages->kind != BB_JSON_ARRAY || messages->n == 0)
        bb_work_fail(w, BAMBA_ERR_ARGUMENT, "expected a list of at least one");
    for (uint32_t i = 0; i < messages->n && w->status == BAMBA_OK; i++) {
        if (item->kind != BB_JSON_OBJECT)
            bb_work_fail(w, BAMBA_ERR_ARGUMENT, "expected an object as number %u", i + 1);
        else bb_list_push(w, list, read_message(w, item));
        item = bb_json_after(item);
    }
    return list;
}
