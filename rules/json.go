package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// jsonValue is a JSON value that knows its place. v is a string, json.Number, bool, nil, []jsonValue or []jsonMember.
type jsonValue struct {
	at int // byte offset
	v  any
}

type jsonMember struct {
	key   string
	at    int
	value jsonValue
}

// what names the kind of the value.
func (j jsonValue) what() string {
	switch j.v.(type) {
	case string:
		return "text"
	case json.Number:
		return "a number"
	case bool:
		return "true or false"
	case []jsonValue:
		return "a list"
	case []jsonMember:
		return "an object"
	}
	return "null"
}

// jsonTree reads one JSON document. at is the byte offset of a mistake.
func jsonTree(src []byte) (root jsonValue, at int, err error) {
	// This finds every mistake, with an exact offset; the walk over the tokens that follows cannot fail any more.
	var whole json.RawMessage
	if err := json.Unmarshal(src, &whole); err != nil {
		var se *json.SyntaxError
		if errors.As(err, &se) {
			at = max(int(se.Offset)-1, 0)
		}
		return root, at, err
	}
	r := jsonReader{src: src, dec: json.NewDecoder(bytes.NewReader(src))}
	r.dec.UseNumber()
	root, err = r.value()
	return root, int(r.dec.InputOffset()), err
}

type jsonReader struct {
	src []byte
	dec *json.Decoder
}

func (r *jsonReader) token() (t json.Token, at int, err error) {
	at = int(r.dec.InputOffset())
	for at < len(r.src) && strings.IndexByte(" \t\r\n,:", r.src[at]) >= 0 {
		at++
	}
	t, err = r.dec.Token()
	return t, at, err
}

func (r *jsonReader) value() (jsonValue, error) {
	t, at, err := r.token()
	if err != nil {
		return jsonValue{}, err
	}
	switch t {
	case json.Delim('['):
		list := []jsonValue{}
		for r.dec.More() {
			v, err := r.value()
			if err != nil {
				return v, err
			}
			list = append(list, v)
		}
		_, _, err = r.token()
		return jsonValue{at, list}, err
	case json.Delim('{'):
		object := []jsonMember{}
		for r.dec.More() {
			k, keyAt, err := r.token()
			if err != nil {
				return jsonValue{}, err
			}
			v, err := r.value()
			if err != nil {
				return v, err
			}
			object = append(object, jsonMember{fmt.Sprint(k), keyAt, v})
		}
		_, _, err = r.token()
		return jsonValue{at, object}, err
	}
	return jsonValue{at, t}, nil
}
