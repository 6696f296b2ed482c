/** Definitions to begin with. Each runs on any machine that has a shell. */
export const samples = {
  hello: `steps:
  - name: hello
    run: |
      echo "Hello from $(uname -s)"
      for n in 1 2 3; do echo "line $n"; sleep 1; done
`,
  parallel: `steps:
  - name: build
    run: echo building; sleep 2
  - name: test
    needs: [build]
    run: for n in 1 2 3 4 5; do echo "test $n passed"; sleep 1; done
  - name: lint
    needs: [build]
    run: echo "nothing to complain about"; sleep 2
  - name: deploy
    needs: [test, lint]
    run: echo deployed
`,
} as const;
