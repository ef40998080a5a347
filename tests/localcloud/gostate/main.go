// Gostate lets tests ask Pulumi's own Go code about what localcloud wrote. Input comes on standard input, output is
// JSON on standard output; what Pulumi would refuse ends the program with a sentence and code 1.
//
//	gostate deployment    a deployment → the same, decoded strictly into Pulumi's types and written by them
//	gostate resource      → a resource in which no field of Pulumi's type is empty
//	gostate secrets       {passphrase, salt, sealed, texts} → the sealed opened, the texts sealed
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
)

func main() {
	actions := map[string]func([]byte) (any, error){
		"deployment": deployment, "resource": resource, "secrets": secrets,
	}
	action := actions[strings.Join(os.Args[1:], " ")]
	if action == nil {
		fail(errors.New("usage: gostate deployment|resource|secrets"))
	}
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		fail(err)
	}
	output, err := action(input)
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(output); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func strictly(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if decoder.More() {
		return errors.New("there is more than one JSON value")
	}
	return nil
}

func deployment(input []byte) (any, error) {
	var untyped apitype.UntypedDeployment
	if err := strictly(input, &untyped); err != nil {
		return nil, err
	}
	if untyped.Version != 3 {
		return nil, fmt.Errorf("version %d is not 3", untyped.Version)
	}
	var typed apitype.DeploymentV3
	if err := strictly(untyped.Deployment, &typed); err != nil {
		return nil, err
	}
	if typed.Manifest.Magic != typed.Manifest.NewMagic() {
		return nil, fmt.Errorf("the manifest's magic %q is not %q", typed.Manifest.Magic, typed.Manifest.NewMagic())
	}
	return typed.ToUntypedDeployment(untyped.Version, untyped.Features)
}

func resource([]byte) (any, error) {
	var full apitype.ResourceV3
	fill(reflect.ValueOf(&full).Elem())
	return full, nil
}

// fill gives a value, and all that it holds, something that is not its zero.
func fill(value reflect.Value) {
	if value.Type() == reflect.TypeFor[time.Time]() {
		value.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC)))
		return
	}
	switch value.Kind() {
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Float64:
		value.SetFloat(1.5)
	case reflect.String:
		value.SetString("text")
	case reflect.Interface:
		value.Set(reflect.ValueOf("any"))
	case reflect.Pointer:
		value.Set(reflect.New(value.Type().Elem()))
		fill(value.Elem())
	case reflect.Slice:
		value.Set(reflect.MakeSlice(value.Type(), 1, 1))
		fill(value.Index(0))
	case reflect.Map:
		key, item := reflect.New(value.Type().Key()).Elem(), reflect.New(value.Type().Elem()).Elem()
		fill(key)
		fill(item)
		value.Set(reflect.MakeMap(value.Type()))
		value.SetMapIndex(key, item)
	case reflect.Struct:
		for index := range value.NumField() {
			fill(value.Field(index))
		}
	default:
		fail(fmt.Errorf("no value for %s", value.Type()))
	}
}

// The salt is taken apart as pulumi's pkg/secrets/passphrase does; that package needs more modules than a test should.
func secrets(input []byte) (any, error) {
	var request struct {
		Passphrase, Salt string
		Sealed, Texts    []string
	}
	if err := strictly(input, &request); err != nil {
		return nil, err
	}
	parts := strings.SplitN(request.Salt, ":", 3)
	if len(parts) != 3 || parts[0] != "v1" {
		return nil, errors.New("the salt is malformed")
	}
	salt, err := base64.StdEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, err
	}
	crypter := config.NewSymmetricCrypterFromPassphrase(request.Passphrase, salt)
	if check, err := crypter.DecryptValue(context.Background(), parts[2]); err != nil || check != "pulumi" {
		return nil, errors.New("incorrect passphrase")
	}
	opened, err := crypter.BatchDecrypt(context.Background(), request.Sealed)
	if err != nil {
		return nil, err
	}
	sealed, err := crypter.BatchEncrypt(context.Background(), request.Texts)
	if err != nil {
		return nil, err
	}
	return map[string][]string{"opened": opened, "sealed": sealed}, nil
}
