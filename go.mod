module github.com/cria-llm/cria

go 1.26.0
