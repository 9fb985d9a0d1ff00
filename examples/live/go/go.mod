module checkout

go 1.21

require sagafuzz/worker v0.0.0

replace sagafuzz/worker => ../../../adapters/go
